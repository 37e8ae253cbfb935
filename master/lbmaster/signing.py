"""Every kind of message that the master signs. A state's bytes are made once, and sent as they are ever after."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbstates.desired import RoleState, decode_state, encode_state
from lbwire.envelope import Envelope, key_id, seal, unseal
from lbwire.errors import Malformed
from lbwire.messages import (
    Ack,
    Beacon,
    Examine,
    FromMaster,
    Position,
    Reconcile,
    Release,
    State,
    Trial,
    open_payload,
    payload,
)
from lbwire.topics import CLUSTER, EVERYONE, host_audience, role_audience


class Signer:
    """Seals with the master's key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._trusted = {key_id(key.public_key()): key.public_key()}

    def _seal(
        self,
        message_type: str,
        message: FromMaster,
        *,
        cluster: str = "",
        audience: str,
        generation: int = 0,
        command: int = 0,
    ) -> bytes:
        return seal(Envelope(message_type, cluster, audience, generation, command, payload(message)), self._key)

    def state(self, cluster: str, role: str, generation: int, state: RoleState) -> bytes:
        message = State(tuple(state.hosts), encode_state(state))
        return self._seal("state", message, cluster=cluster, audience=role_audience(role), generation=generation)

    def trial(self, cluster: str, role: str, command: int, state: RoleState) -> bytes:
        message = Trial(tuple(state.hosts), encode_state(state))
        return self._seal("trial", message, cluster=cluster, audience=role_audience(role), command=command)

    def release(self, cluster: str, generation: int, command: int, hosts: tuple[str, ...], *, only: str = "") -> bytes:
        """Release to hosts of a cluster; `only`: it goes to this host alone."""
        audience = host_audience(only) if only else CLUSTER
        message = Release(hosts)
        return self._seal(
            "release", message, cluster=cluster, audience=audience, generation=generation, command=command
        )

    def reconcile(self, cluster: str, command: int, reason: str, announce: tuple[str, ...] = ()) -> bytes:
        return self._seal("reconcile", Reconcile(reason, announce), cluster=cluster, audience=CLUSTER, command=command)

    def examine(self, cluster: str, command: int) -> bytes:
        return self._seal("examine", Examine(), cluster=cluster, audience=CLUSTER, command=command)

    def beacon(self, clusters: dict[str, Position]) -> bytes:
        return self._seal("beacon", Beacon(clusters), audience=EVERYONE)

    def ack(self, host: str, boot: int, sequence: int) -> bytes:
        return self._seal("ack", Ack(boot, sequence), audience=host_audience(host))

    def open_state(self, raw: bytes) -> RoleState:
        """Read a stored state again, verified like any message.

        Raises `lbwire.errors.Refused` or `lbstates.errors.BadState` for bytes that were changed on the disk.
        """
        message = open_payload(unseal(raw, self._trusted))
        if not isinstance(message, State):
            raise Malformed("a stored state is no state")
        return decode_state(message.desired)
