"""What checks have found, as a table below the hosts of a cluster: nothing where all is well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .answers_status import Ailment, Ailments
from .page import Cell, Column, Line, Table, Tone
from .text import count

_COLUMNS: Final = (Column("HEALTH"), Column("OF"), Column("FOUND BY"), Column("REASON"))
_SHOWN: Final = 20
_UNKNOWN: Final[Tone] = "warn"
_SAID: Final[dict[str, tuple[str, Tone]]] = {
    "sorry": ("SORRY SERVER ANSWERS", "bad"),
    "frozen": ("FROZEN", "bad"),
    "failing": ("FAILS", "bad"),
    "suspected": ("SUSPECTED", "warn"),
    "unproven": ("not yet proven", "warn"),
    "silent": ("NOBODY LISTENS", "bad"),
}


def health_table(ailments: Ailments) -> Iterator[Line | Table]:
    """Show the first twenty, and how many more there are."""
    if not ailments.found:
        return
    yield Line()
    yield Table(_COLUMNS, tuple(_row(it) for it in ailments.found[:_SHOWN]))
    more = ailments.count - min(_SHOWN, len(ailments.found))
    if more > 0:
        yield Line(f"and {count(more, 'more entry', 'more entries')}: lbmaster status --json shows them")


def _row(it: Ailment) -> tuple[Cell, ...]:
    said, tone = _SAID.get(it.kind, (it.kind, _UNKNOWN))
    return Cell(said, tone), Cell(it.what), Cell(", ".join(it.hosts)), Cell(it.reason)
