"""What the minion holds of its clusters: signed states as they came, what was released, and the inbox's memory.

Every row is the bytes that the master signed. They are compared with what was verified each time they are read, and
verified again when they are not the same, so a changed disk is noticed like a changed message.
"""

from __future__ import annotations

import sqlite3

import msgspec

from lbservice.database import transaction
from lbstates.desired import RoleState, decode_state
from lbstates.errors import BadState
from lbwire.codec import pack, unpack
from lbwire.envelope import Keys, unseal
from lbwire.errors import Refused
from lbwire.inbox import Accepted, Held, Memory
from lbwire.messages import Holding, State, open_payload

from .errors import DamagedState


class Holdings:
    """Reads and keeps; decides nothing. Numbers are committed to the disk before anything is done with them."""

    def __init__(self, connection: sqlite3.Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._opened: dict[tuple[str, str], tuple[bytes, RoleState]] = {}
        row = connection.execute("SELECT value FROM kept WHERE key = 'memory'").fetchone()
        self.memory = msgspec.convert(unpack(row[0]), Memory) if row else Memory()

    def keep(self, accepted: Accepted, raw: bytes) -> None:
        """Keep what was accepted, before it is acted upon; a state with its bytes, staged."""
        state = isinstance(accepted.message, State)
        if accepted.memory == self.memory and not state:
            return
        with transaction(self._connection, durable=state or accepted.envelope.type == "release"):
            self._connection.execute(
                "INSERT OR REPLACE INTO kept VALUES ('memory', ?)",
                (pack(msgspec.to_builtins(accepted.memory, builtin_types=(bytes,))),),
            )
            if state:
                envelope = accepted.envelope
                self._connection.execute(
                    "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)",
                    (envelope.cluster, envelope.audience, envelope.generation, raw),
                )
        self.memory = accepted.memory

    def release(self, cluster: str, generation: int) -> None:
        """Note that a generation is the one to be in force from now on."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "INSERT INTO released VALUES (?, ?, 0)"
                " ON CONFLICT (cluster) DO UPDATE SET generation = excluded.generation",
                (cluster, generation),
            )

    def applied(self, cluster: str, generation: int) -> None:
        """Note that a generation is in force, and forget the states that it replaced."""
        with transaction(self._connection, durable=True):
            self._connection.execute("UPDATE released SET applied = ? WHERE cluster = ?", (generation, cluster))
            self._connection.execute(
                "DELETE FROM state WHERE cluster = ? AND generation < (SELECT max(newer.generation) FROM state AS newer"
                " WHERE newer.cluster = state.cluster AND newer.audience = state.audience AND newer.generation <= ?)",
                (cluster, generation),
            )

    def clusters(self) -> tuple[str, ...]:
        """Name the clusters that this host has, or had, a part in."""
        return tuple(sorted(self.memory.states))

    def following(self) -> dict[str, tuple[str, ...]]:
        """Name the audiences, by cluster, that concern this host: the roles that it has, and those it has yet to leave."""
        return {
            cluster: audiences
            for cluster in self.memory.states
            if (audiences := tuple(self._roles(cluster, self._applied(cluster))))
        }

    def holding(self, cluster: str) -> Holding:
        """Tell how far this host is with a cluster: a generation is staged when every role that it has is.

        A role that it has left stays where it was.
        """
        applied, states = self._applied(cluster), self.memory.states.get(cluster, {})
        here = self._roles(cluster, applied)
        staged = (
            min(held.generation for held in here.values())
            if here
            else max((held.generation for held in states.values()), default=0)
        )
        return Holding(staged=staged, applied=applied, command=self.memory.commands.get(cluster, 0))

    def _applied(self, cluster: str) -> int:
        row = self._connection.execute("SELECT applied FROM released WHERE cluster = ?", (cluster,)).fetchone()
        return row[0] if row else 0

    def _roles(self, cluster: str, applied: int) -> dict[str, Held]:
        """A role is left when a state that does not name this host is in force."""
        states = self.memory.states.get(cluster, {})
        return {audience: held for audience, held in states.items() if held.named or held.generation > applied}

    def released(self, cluster: str) -> int:
        """Tell which generation may be applied (0: none)."""
        row = self._connection.execute("SELECT generation FROM released WHERE cluster = ?", (cluster,)).fetchone()
        return row[0] if row else 0

    def states(self, cluster: str, generation: int) -> list[RoleState]:
        """Read, verify and decode each role's newest state of the cluster up to a generation.

        The same objects as before, while the disk has the same bytes. Raises `DamagedState` for bytes that were changed
        on the disk.
        """
        rows = self._connection.execute(
            "SELECT raw, audience, max(generation) FROM state WHERE cluster = ? AND generation <= ? GROUP BY audience",
            (cluster, generation),
        ).fetchall()
        return [self._open(cluster, audience, raw) for raw, audience, _ in rows]

    def skipped(self, cluster: str, generation: int, host: str) -> bool:
        """Tell whether a generation passed this host by: its states never came, and newer ones did, which rule them out.

        `states` has an older content for it then, or none. A role that the host has got, or got back, since may be one that
        it did not have in that generation: that says nothing.
        """
        rows = self._connection.execute(
            "SELECT raw, audience, max(generation) FROM state WHERE cluster = ? AND generation <= ? GROUP BY audience",
            (cluster, generation),
        ).fetchall()
        newest = self.memory.states.get(cluster, {})
        passed = [(audience, raw) for raw, audience, of in rows if of < generation < newest[audience].generation]
        return not rows or any(self._has_a_part(host, cluster, audience, raw) for audience, raw in passed)

    def _has_a_part(self, host: str, cluster: str, audience: str, raw: bytes) -> bool:
        try:
            return host in self._open(cluster, audience, raw).hosts
        except DamagedState:
            return True  # a push mends either

    def _open(self, cluster: str, audience: str, raw: bytes) -> RoleState:
        known, state = self._opened.get((cluster, audience), (None, None))
        if known == raw and state is not None:
            return state
        try:
            message = open_payload(unseal(raw, self._keys))
            if not isinstance(message, State):
                raise DamagedState(cluster, audience, "it is another message")
            state = decode_state(message.desired)
        except (Refused, BadState) as error:
            raise DamagedState(cluster, audience, str(error)) from error
        self._opened[cluster, audience] = (raw, state)
        return state
