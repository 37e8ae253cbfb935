"""What a sample tells of the IPVS table: all figures at first and now and then, otherwise those that have changed.

Decides only; reading the table is for `netlink.ipvs`, which keeps what has not changed the very same object. Samples
travel in order and without loss on one connection, so that a master knows everything when it was told everything once
on it, and every change since. `FULL_EVERY` is for what nobody thought of. What is there for probes alone is not told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Final, NamedTuple, TypeAlias

import msgspec

from lbstates.probe_path import is_probe_path
from lbwire.messages import Figures

from .netlink.ipvs_statistics import DestinationStatistics, ServiceStatistics
from .netlink.ipvs_table import Snapshot, Statistics, Table

FULL_EVERY: Final = 60
"""Samples: a master that missed one in an unknown way has wrong figures no longer than that."""

MOST: Final = 30_000
"""Entries that one sample tells of: more of them might go beyond `lbwire.codec.LIMIT`, and end the connection."""

NO_TABLE: Final = Snapshot(Table({}, {}, {}), Statistics({}, {}))
"""Of a host without IPVS, or whose table nobody has read yet."""

Counts: TypeAlias = Mapping[str, ServiceStatistics] | Mapping[str, DestinationStatistics]


class Told(NamedTuple):
    """The part of a sample that is about the table, under the names that it has there."""

    number: int
    full: bool
    services: tuple[Figures, ...]
    destinations: tuple[Figures, ...]
    gone: tuple[str, ...]


UNREAD: Final = Told(0, False, (), (), ())
"""Before this host was looked at: whatever the master heard of its table stands. It never follows another sample."""


class Sampler:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._number = 0
        self._last = NO_TABLE
        self._until_full = 0

    def forget(self) -> None:
        """The master may not have got what was told, or it is another one: the next sample tells everything."""
        self._until_full = 0

    def take(self, snapshot: Snapshot) -> Told:
        """Say what has to be told of this reading; it counts as told unless `forget` follows."""
        full = self._until_full == 0
        before = NO_TABLE if full else self._last
        self._until_full = FULL_EVERY - 1 if full else self._until_full - 1
        self._number += 1
        self._last = snapshot
        if before.table is snapshot.table and before.statistics is snapshot.statistics:
            return Told(self._number, full, (), (), ())
        services = tuple(islice(_services(before, snapshot), MOST))
        destinations = tuple(islice(_destinations(before, snapshot), MOST - len(services)))
        return Told(self._number, full, services, destinations, tuple(islice(_gone(before, snapshot), MOST)))


def _services(before: Snapshot, after: Snapshot) -> Iterator[Figures]:
    known = before.statistics.services
    for identity, counted in after.statistics.services.items():
        if known.get(identity) is not counted and not is_probe_path(identity):
            yield Figures(identity, *msgspec.structs.astuple(counted))


def _destinations(before: Snapshot, after: Snapshot) -> Iterator[Figures]:
    """The weight is told too, which may have changed without anything being counted."""
    known, specified = before.statistics.destinations, after.table.destinations
    was_specified = before.table.destinations
    for identity, counted in after.statistics.destinations.items():
        destination = specified.get(identity)
        other = known.get(identity) is not counted or was_specified.get(identity) is not destination
        if other and not is_probe_path(identity):
            weight = 0 if destination is None else destination.weight
            yield Figures(*(identity, *msgspec.structs.astuple(counted), weight))


def _gone(before: Snapshot, after: Snapshot) -> Iterator[str]:
    gone = chain(
        before.statistics.services.keys() - after.statistics.services.keys(),
        before.statistics.destinations.keys() - after.statistics.destinations.keys(),
    )
    return (identity for identity in gone if not is_probe_path(identity))
