"""Destinations that get connections which never establish, told by what IPVS counts. Pure.

A director sees what clients send. Of a connection that is established that are two packets at the very least (SYN and ACK), and
one more with the first data. One that is refused has one, and one that is not answered has one until its SYN is repeated, after
one second and after three. So new connections with less than two packets each mean that nobody answers. (What IPVS calls
active does not tell: it counts one as soon as its SYN has come.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from lbminion.netlink.ipvs_statistics import DestinationStatistics

_SAMPLES: Final = 4
"""So many readings are compared, the first with the last: three seconds, in which the kernel has added up once at least."""
_ENOUGH: Final = 5
"""New connections, so that a scanner or a client that gives up is none."""
_PACKETS: Final = 2
_CALM: Final = 30
"""Readings without a sign of it, after which a suspicion is dropped."""


class Suspected(NamedTuple):
    """A destination, and how many connections to it were not answered."""

    identity: str
    connections: int


class Suspicions:
    """Compares the readings of the destinations that it is told to."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[DestinationStatistics]] = {}
        self._calm: dict[str, int] = {}

    @property
    def suspected(self) -> tuple[str, ...]:
        """Who is suspected now."""
        return tuple(self._calm)

    def read(
        self, watched: Iterable[str], counted: Mapping[str, DestinationStatistics]
    ) -> tuple[tuple[Suspected, ...], tuple[Suspected, ...]]:
        """Take a reading; return who shows it at this moment, and who of those did not before."""
        seen: dict[str, deque[DestinationStatistics]] = {}
        signs: list[Suspected] = []
        for identity in watched:
            if (now := counted.get(identity)) is None:
                continue
            past = seen[identity] = self._seen.get(identity) or deque(maxlen=_SAMPLES)
            past.append(now)
            if past[0] is not now and (connections := _unanswered(past[0], now)):
                signs.append(Suspected(identity, connections))
        self._seen = seen
        return tuple(signs), tuple(self._note(signs))

    def _note(self, signs: Iterable[Suspected]) -> list[Suspected]:
        fresh = []
        calm = {identity: count + 1 for identity, count in self._calm.items() if identity in self._seen}
        for sign in signs:
            if sign.identity not in calm:
                fresh.append(sign)
            calm[sign.identity] = 0
        self._calm = {identity: count for identity, count in calm.items() if count < _CALM}
        return fresh


def _unanswered(before: DestinationStatistics, now: DestinationStatistics) -> int:
    """Return how many new connections nobody answered, 0 if there are too few, or if somebody did."""
    connections, packets = now.connections - before.connections, now.packets_in - before.packets_in
    if connections < _ENOUGH or not connections <= packets < _PACKETS * connections:
        return 0
    return connections
