"""The table as it was read last, and the next reading of it: what has not changed is not decoded again. Pure.

An entry whose specification (or whose statistics) are the same stays the very same object from one reading to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service

from .ipvs_destination import decode_destination
from .ipvs_layout import Reader, Values
from .ipvs_service import Foreign, decode_service
from .ipvs_statistics import DestinationStatistics, ServiceStatistics
from .transport import Piece, Span, spans


class Table(NamedTuple):
    """The IPVS table by identity; `foreign` is what lbstates cannot express, and is not in the other two."""

    services: dict[str, Service]
    destinations: dict[str, Destination]
    foreign: dict[str, Foreign]


class Statistics(NamedTuple):
    """The statistics of the whole table by identity, foreign entries too."""

    services: dict[str, ServiceStatistics]
    destinations: dict[str, DestinationStatistics]


class Snapshot(NamedTuple):
    """One reading of the table. The kernel sends it service by service: it is not of one instant."""

    table: Table
    statistics: Statistics


class _Row(msgspec.Struct, frozen=True, gc=False):
    """One entry: as the kernel said it, and what that means. Tens of thousands, which no garbage collector need visit."""

    specification: Values
    identity: str
    thing: Any
    statistics: Any


Thing = TypeVar("Thing", Service, Destination)
Counted = TypeVar("Counted", ServiceStatistics, DestinationStatistics)


class Listing(Generic[Thing, Counted]):
    """One dump: all services, or the destinations of one."""

    def __init__(
        self, reader: Reader, decode: Callable[[Values], Thing | Foreign], count: Callable[..., Counted]
    ) -> None:
        self._reader = reader
        self._decode: Callable[[Values], Thing | Foreign] = decode
        self._count: Callable[..., Counted] = count
        self._rows: list[_Row] = []
        self._pieces: tuple[Piece, ...] = ()

    def read(self, pieces: tuple[Piece, ...]) -> bool:
        """Take the newest dump; tell whether it specifies anything else than the last one. Raises `BadKernelMessage`."""
        before = zip(spans(self._pieces), self._rows, strict=True)
        rows, other = [], False
        for span in spans(pieces):
            old = next(before, None)
            row = self._new(span) if old is None else self._again(span, *old)
            rows.append(row)
            other = other or old is None or row.thing is not old[1].thing
        other = other or len(rows) != len(self._rows)
        self._rows, self._pieces = rows, pieces
        return other

    @property
    def identities(self) -> list[str]:
        """Who is in the last reading, foreign entries too."""
        return [row.identity for row in self._rows]

    def things(self) -> Iterator[tuple[str, Thing | Foreign]]:
        """Give identity and specification of each entry of the last reading."""
        return ((row.identity, row.thing) for row in self._rows)

    def counted(self) -> Iterator[tuple[str, Counted]]:
        """Give identity and statistics of each entry of the last reading."""
        return ((row.identity, row.statistics) for row in self._rows)

    def _again(self, span: Span, old_span: Span, old: _Row) -> _Row:
        """Read an entry where there was one before, and keep of that what is the same."""
        datagram, start, end = span
        before, old_start, old_end = old_span
        if datagram[start:end] == before[old_start:old_end]:
            return old
        specification, counts = self._reader.read(datagram, start, end)
        if specification != old.specification:
            return self._new(span)
        statistics = self._count(*counts)
        return old if statistics == old.statistics else _Row(old.specification, old.identity, old.thing, statistics)

    def _new(self, span: Span) -> _Row:
        specification, counts = self._reader.read(*span)
        thing = self._decode(specification)
        return _Row(specification, thing.identity, thing, self._count(*counts))


def service_listing(reader: Reader) -> Listing[Service, ServiceStatistics]:
    """Begin with no services."""
    return Listing(reader, decode_service, ServiceStatistics)


def destination_listing(reader: Reader, service: str) -> Listing[Destination, DestinationStatistics]:
    """Begin with no destinations of the service of this identity."""
    return Listing(reader, partial(decode_destination, service=service), DestinationStatistics)


Services: TypeAlias = Listing[Service, ServiceStatistics]
Destinations: TypeAlias = Listing[Destination, DestinationStatistics]


def table_of(services: Services, destinations: Iterable[Destinations]) -> Table:
    """Put the last readings together."""
    table = Table({}, {}, {})
    _sort(services.things(), table.services, table.foreign)
    for listing in destinations:
        _sort(listing.things(), table.destinations, table.foreign)
    return table


def _sort(things: Iterable[tuple[str, Thing | Foreign]], ours: dict[str, Thing], foreign: dict[str, Foreign]) -> None:
    for identity, thing in things:
        if isinstance(thing, Foreign):
            foreign[identity] = thing
        else:
            ours[identity] = thing


def statistics_of(services: Services, destinations: Iterable[Destinations]) -> Statistics:
    """Put the last readings together."""
    found = Statistics(dict(services.counted()), {})
    for listing in destinations:
        found.destinations.update(listing.counted())
    return found
