"""Which connection of a minion is heard when there are several: pure; times are the caller's.

A minion that connects anew leaves its old connection behind and never comes back to it. If two connections of one key take
turns, two hosts use that key: one was copied from the other. Then the one that was there first is heard, and the other is
not until the first has been silent for a while, so that they do not fight over who the minion is.

Until that is clear no event of the new connection counts: a copy has a later boot than the first, and events of the first
would be taken for ones that are known. (A minion sends again what was not acknowledged.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

RECENT_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 3.0
"""A minion that lives says something every second."""
RETURNS: Final = 3
"""Two may be what a connection that ended had left in its queue."""
AGAIN_SECONDS: Final = 600.0


Counts = Literal["all", "not events", "nothing"]


@dataclass(slots=True)
class _Connection:
    address: str
    first: float
    last: float


@dataclass(slots=True)
class _Minion:
    current: bytes = b""
    known: dict[bytes, _Connection] = field(default_factory=dict)
    returns: int = 0
    doubled: bool = False
    told: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Doubled:
    """Two hosts use the key of a minion; `addresses`: first the one that is heard; none: only one does any more."""

    name: str
    addresses: tuple[str, ...]


class Routes:
    """`of` tells how a minion is reached; `heard` decides whether a message counts."""

    def __init__(self) -> None:
        self._minions: dict[str, _Minion] = {}

    def of(self, name: str) -> bytes | None:
        minion = self._minions.get(name)
        return minion.current if minion else None

    def forget(self, name: str) -> None:
        self._minions.pop(name, None)

    def gone(self, name: str, route: bytes) -> None:
        """A connection has ended."""
        minion = self._minions.get(name)
        if minion is not None:
            minion.known.pop(route, None)

    def heard(self, name: str, route: bytes, address: str, now: float) -> tuple[Counts, Doubled | None]:
        """A message came: what of it counts, and what is to be told."""
        minion = self._minions.setdefault(name, _Minion(route))
        for old in [r for r, it in minion.known.items() if now - it.last > RECENT_SECONDS and r != route]:
            del minion.known[old]
        came_back = route in minion.known and route != minion.current
        connection = minion.known.setdefault(route, _Connection(address, now, now))
        connection.last = now
        if len(minion.known) == 1:
            over = Doubled(name, ()) if minion.doubled else None
            minion.current, minion.returns, minion.doubled = route, 0, False
            return "all", over
        if not minion.doubled:
            minion.returns += came_back
            minion.current = route
            if minion.returns < RETURNS:
                return "not events" if self._may_be_a_copy(minion, route, now) else "all", None
            minion.doubled = True
            minion.current = min(minion.known, key=lambda it: minion.known[it].first)
        return "all" if route == minion.current else "nothing", self._to_tell(name, minion, now)

    @staticmethod
    def _may_be_a_copy(minion: _Minion, route: bytes, now: float) -> bool:
        first = minion.known[route].first
        return any(it.first < first and now - it.last <= SETTLED_SECONDS for it in minion.known.values())

    @staticmethod
    def _to_tell(name: str, minion: _Minion, now: float) -> Doubled | None:
        if now - minion.told < AGAIN_SECONDS:
            return None
        minion.told = now
        others = [it.address for route, it in minion.known.items() if route != minion.current]
        return Doubled(name, (minion.known[minion.current].address, *others))
