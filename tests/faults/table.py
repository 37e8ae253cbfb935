"""The table of what came of the faults: as text for a terminal, as JSON, and as the Markdown of docs/reliability.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from tests.faults.fault import Fault
from tests.faults.running import Row

rows: list[Row] = []
"""Those of this run."""

_HEAD: Final = ("fault", "sent", "lost", "allowed", "gap", "served again", "whole again", "two VIPs", "events")
_NOTHING: Final = "-"


def printed(found: Sequence[Row]) -> list[str]:
    """Lay the table out for a terminal."""
    cells = [_HEAD, *(_cells(row) for row in found)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD) - 1)]
    return [
        "  ".join((*(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)), line[-1]))
        for line in cells
    ]


def as_json(found: Sequence[Row]) -> str:
    """Write the table for `document`."""
    return json.dumps({"rows": [row.plain() for row in found]}, indent=1) + "\n"


def from_json(text: str) -> dict[str, Row]:
    """Read it again: name -> row. Raises `ValueError` for anything else."""
    try:
        return {plain["name"]: Row(**plain) for plain in json.loads(text)["rows"]}
    except (TypeError, KeyError) as error:
        raise ValueError(f"not the table of a run of the faults: {error!r}") from error


def markdown(families: Mapping[str, Sequence[Fault]], found: Mapping[str, Row]) -> str:
    """Write the tables of docs/reliability.md, one a family, and the row of pushes that is none of theirs.

    Raises `ValueError` for a fault without a row.
    """
    missing = [fault.name for faults in families.values() for fault in faults if fault.name not in found]
    if missing:
        raise ValueError(f"the run has no row for: {', '.join(missing)}; make one with tests/run --soak")
    lines: list[str] = []
    for family, faults in families.items():
        lines += [f"## {family}", "", _line("fault", "what an operator sees", *_HEAD[1:]), _line(*["---"] * 10)]
        for fault in faults:
            name, *cells = _cells(found[fault.name])
            remark = f" ({found[fault.name].remark})" if found[fault.name].remark else ""
            lines.append(_line(name, fault.expect + remark, *cells))
        lines.append("")
    known = {fault.name for faults in families.values() for fault in faults}
    if rest := [row for name, row in found.items() if name not in known]:
        lines += ["## Pushes", "", _line("what", "what came of it", *_HEAD[1:]), _line(*["---"] * 10)]
        for row in rest:
            name, *cells = _cells(row)
            lines.append(_line(name, row.remark, *cells))
        lines.append("")
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row) -> tuple[str, ...]:
    events = ", ".join(f"{count} {name}" for name, count in sorted(row.events.items())) or _NOTHING
    times = (_seconds(value) for value in (row.gap, row.back, row.whole, row.both))
    return row.name, str(row.sent), str(row.lost), _seconds(row.window), *times, events


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value else _NOTHING
