"""What a minion accepts from its master: one pure object that decides from bytes and from what it accepted before.

The rules, in the order in which they are checked:

1. The envelope is whole, of our version, signed by a trusted key, of a known type (`envelope.unseal`).
2. The audience is this host, its cluster, a role, or everyone, as fits the type. A state or trial for a role is for
   this host only if it names the host, or if the host holds an earlier state of that role (it was taken out); a release,
   reconcile or examine only if the host holds a state of that cluster.
3. The payload is what its type says.
4. A state's generation never goes back, and a generation never has two contents. The same state again is accepted
   and marked `repeated`.
5. A command number (release, reconcile, trial, examine) is higher than every one before it in that cluster.

A refused message raises and changes nothing. Beacons and acks carry only numbers that the receiver compares with its
own and so need no memory; the number of a successor is kept beside the keys that it announces.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from .envelope import Envelope, Keys, unseal
from .errors import ConflictingGeneration, Malformed, RepeatedCommand, StaleGeneration, UnknownAudience
from .messages import Examine, FromMaster, Reconcile, Release, State, Trial, open_payload
from .topics import CLUSTER, EVERYONE, ROLE_AUDIENCES, host_audience

CLUSTERLESS: Final = frozenset({"beacon", "ack", "successor"})
"""Types that concern no cluster."""
COMMANDS: Final = frozenset({"release", "reconcile", "trial", "examine"})


class Held(msgspec.Struct, frozen=True):
    """The newest state accepted for one audience: its generation, and the SHA-256 of its payload.

    `named`: it names this host; if not, it takes the role from the host.
    """

    generation: int
    digest: bytes
    named: bool = True


class Memory(msgspec.Struct, frozen=True):
    """What was accepted so far; it has to survive restarts.

    `states` maps cluster and audience to the newest state held, `commands` maps a cluster to its last command number.
    """

    states: dict[str, dict[str, Held]] = {}
    commands: dict[str, int] = {}


class Accepted(msgspec.Struct, frozen=True):
    """A message that passed, and the memory to keep *before* it is acted upon."""

    envelope: Envelope
    message: FromMaster
    memory: Memory
    repeated: bool = False


class Inbox(msgspec.Struct, frozen=True):
    """Decides for the host named `host`, which trusts `keys`."""

    host: str
    keys: Keys

    def judge(self, raw: bytes, memory: Memory) -> Accepted:
        """Accept a message, or raise the `Refused` that says why not."""
        envelope = unseal(raw, self.keys)
        self._check_audience(envelope)
        message = open_payload(envelope)
        self._check_membership(envelope, message, memory)
        if isinstance(message, State):
            return _judge_state(envelope, message, memory, named=self.host in message.hosts)
        if envelope.type in COMMANDS:
            return _judge_command(envelope, message, memory)
        return Accepted(envelope, message, memory)

    def _check_audience(self, envelope: Envelope) -> None:
        mine = host_audience(self.host)
        allowed = {
            "state": ROLE_AUDIENCES,
            "trial": ROLE_AUDIENCES,
            "release": {CLUSTER, mine},
            "reconcile": {CLUSTER, mine},
            "examine": {CLUSTER, mine},
            "beacon": {EVERYONE},
            "ack": {mine},
            "successor": {EVERYONE},
        }[envelope.type]
        if envelope.audience not in allowed:
            raise UnknownAudience(f"a {envelope.type} for {envelope.audience!r} is not for {self.host}")
        if bool(envelope.cluster) == (envelope.type in CLUSTERLESS):
            raise Malformed(f"a {envelope.type} with the cluster {envelope.cluster!r}")

    def _check_membership(self, envelope: Envelope, message: FromMaster, memory: Memory) -> None:
        held = memory.states.get(envelope.cluster, {})
        match message:
            case State() | Trial() if self.host not in message.hosts and envelope.audience not in held:
                raise UnknownAudience(f"{self.host} has no part in {envelope.audience} of {envelope.cluster}")
            case Release() | Reconcile() | Examine() if not held:
                raise UnknownAudience(f"{self.host} holds no state of {envelope.cluster}")


def _judge_state(envelope: Envelope, message: State, memory: Memory, *, named: bool) -> Accepted:
    if envelope.generation == 0:
        raise Malformed("generations begin with 1")
    digest = hashlib.sha256(envelope.payload).digest()
    of_cluster = memory.states.get(envelope.cluster, {})
    held = of_cluster.get(envelope.audience)
    if held is not None and envelope.generation < held.generation:
        raise StaleGeneration(f"generation {envelope.generation}, held is {held.generation}")
    if held is not None and envelope.generation == held.generation:
        if digest != held.digest:
            raise ConflictingGeneration(f"another content for generation {held.generation}")
        return Accepted(envelope, message, memory, repeated=True)
    states = memory.states | {
        envelope.cluster: of_cluster | {envelope.audience: Held(envelope.generation, digest, named)},
    }
    return Accepted(envelope, message, msgspec.structs.replace(memory, states=states))


def _judge_command(envelope: Envelope, message: FromMaster, memory: Memory) -> Accepted:
    if isinstance(message, Release) and envelope.generation == 0:
        raise Malformed("a release names a generation")
    last = memory.commands.get(envelope.cluster, 0)
    if envelope.command <= last:
        raise RepeatedCommand(f"command {envelope.command}, the last one was {last}")
    commands = memory.commands | {envelope.cluster: envelope.command}
    return Accepted(envelope, message, msgspec.structs.replace(memory, commands=commands))
