"""IPVS figures of a cluster as a page: summed over its directors, and each director's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from lbwire.messages import Statistics

from .answers import DirectorFigures, Stats
from .page import Cell, Column, Line, Page, Table
from .text import seconds

Figure: TypeAlias = tuple[str, Callable[[Statistics], int]]

COUNTERS: Final[tuple[Figure, ...]] = (
    ("Conns", lambda it: it.connections),
    ("InPkts", lambda it: it.packets_in),
    ("OutPkts", lambda it: it.packets_out),
    ("InBytes", lambda it: it.bytes_in),
    ("OutBytes", lambda it: it.bytes_out),
)
RATES: Final[tuple[Figure, ...]] = (
    ("CPS", lambda it: it.cps),
    ("InPPS", lambda it: it.pps_in),
    ("OutPPS", lambda it: it.pps_out),
    ("InBPS", lambda it: it.bps_in),
    ("OutBPS", lambda it: it.bps_out),
)
CONNECTIONS: Final[tuple[Figure, ...]] = (
    ("ActiveConn", lambda it: it.active),
    ("InActConn", lambda it: it.inactive),
)
ALL: Final = "all"
ARROW: Final = " -> "
STALE_SECONDS: Final = 5.0
FOOTNOTE: Final = (
    "InActConn counts connections that are closing or were closed a short while ago, and UDP: it is no count of errors."
)


def stats_page(stats: Stats, *, rate: bool, terminal: bool) -> Page:
    """Show a table per cluster; a director whose figures are old or missing is named above it.

    In a pipe service and destination have a column each; on a `terminal` they share one, as with ipvsadm.
    """
    parts: list[Line | Table] = []
    for name, directors in sorted(stats.clusters.items()):
        parts += [
            Line(f"Cluster {name}", "bold"),
            *_stale(directors),
            _table(directors, rate=rate, terminal=terminal),
            Line(),
        ]
    if not parts:
        return (Line("No cluster yet: lbmaster push FILE makes one."),)
    return (*parts[:-1], Line(FOOTNOTE, "dim", terminal_only=True))


def _stale(directors: Mapping[str, DirectorFigures]) -> Iterator[Line]:
    for name, figures in sorted(directors.items()):
        if figures.age is None:
            yield Line(f"{name}: UNKNOWN: it has sent no figures", "bad")
        elif figures.age > STALE_SECONDS:
            yield Line(f"{name}: LOST: its figures are {seconds(figures.age)} old", "bad")


def _table(directors: Mapping[str, DirectorFigures], *, rate: bool, terminal: bool) -> Table:
    figures = (*(RATES if rate else COUNTERS), *CONNECTIONS)
    entry = (Column("SERVICE -> DESTINATION", once=True),) if terminal else (Column("SERVICE"), Column("DESTINATION"))
    columns = (
        *entry,
        Column("WEIGHT", right=True),
        Column("DIRECTOR"),
        *(Column(name, right=True) for name, _ in figures),
    )
    return Table(columns, tuple(_rows(directors, figures, terminal=terminal)))


def _rows(
    directors: Mapping[str, DirectorFigures], figures: tuple[Figure, ...], *, terminal: bool
) -> Iterator[tuple[Cell, ...]]:
    found = _by_identity(directors)
    for identity, counted in sorted(found.items(), key=lambda item: _place(item[0])):
        service, destination = _place(identity)
        for director, entry in ((ALL, total(identity, counted.values())), *sorted(counted.items())):
            summed = director == ALL
            yield (
                *_named(service, destination, terminal=terminal),
                Cell(str(entry.weight) if destination else ""),
                Cell(director, "plain" if summed else "dim"),
                *(Cell(str(value(entry)), "bold" if summed else "dim") for _, value in figures),
            )


def _named(service: str, destination: str, *, terminal: bool) -> tuple[Cell, ...]:
    if not terminal:
        return Cell(service), Cell(destination)
    return (Cell(f" {ARROW.lstrip()}{destination}") if destination else Cell(service, "bold"),)


def _by_identity(directors: Mapping[str, DirectorFigures]) -> dict[str, dict[str, Statistics]]:
    """Sort into identity -> director -> figures; a service has the connections of its destinations.

    The kernel counts active and inactive connections per destination only.
    """
    found: dict[str, dict[str, Statistics]] = {}
    for director, figures in directors.items():
        for entry in (*_with_connections(figures), *figures.destinations):
            found.setdefault(entry.identity, {})[director] = entry
    return found


def _with_connections(figures: DirectorFigures) -> Iterator[Statistics]:
    from msgspec.structs import replace  # noqa: PLC0415 - keeps this module's import light

    for service in figures.services:
        own = [entry for entry in figures.destinations if _place(entry.identity)[0] == service.identity]
        yield replace(service, active=sum(entry.active for entry in own), inactive=sum(entry.inactive for entry in own))


def total(identity: str, counted: Iterable[Statistics]) -> Statistics:
    """Add the directors' figures; the weight is the largest of them, since it is no count."""
    entries = tuple(counted)
    sums = {
        name: sum(getattr(entry, name) for entry in entries)
        for name in Statistics.__struct_fields__
        if name not in ("identity", "weight")
    }
    return Statistics(identity, weight=max(entry.weight for entry in entries), **sums)


def _place(identity: str) -> tuple[str, str]:
    """Split "tcp VIP:80 -> RIP:80" into service and destination ("" for the service itself)."""
    service, _, destination = identity.partition(ARROW)
    return service, destination
