"""What was measured, in numbers: medians, spreads, and the table that people read. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one measurement, summed up; of a single value all are the same."""

    median: float
    low: float
    high: float
    p99: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Sum up at least one value."""
    ordered = sorted(values)
    return Spread(
        statistics.median(ordered), ordered[0], ordered[-1], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        len(ordered),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `aim` bounds what `aim_of` names (median or p99, of Salt's too); `higher`: more is better."""

    benchmark: str
    what: str
    unit: str
    ours: Spread | None
    peer: Spread | None = None
    aim: float | None = None
    aim_of: str = "median"
    higher: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None where there is none, or nothing was measured."""
        if self.aim is None or self.ours is None:
            return None
        value: float = getattr(self.ours, self.aim_of)
        return value >= self.aim if self.higher else value <= self.aim

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer."""
        if self.ours is None or self.peer is None or not self.ours.median or not self.peer.median:
            return None
        ours, theirs = getattr(self.ours, self.aim_of), getattr(self.peer, self.aim_of)
        return float(ours / theirs if self.higher else theirs / ours)

    def plain(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {**asdict(self), "reached": self.reached, "ratio": self.ratio}


_HEADER = ("BENCHMARK", "WHAT", "UNIT", "MEDIAN", "MIN", "MAX", "P99", "N", "AIM", "", "SALT", "TIMES BETTER")
_TEXT_COLUMNS = 3


def table(figures: Iterable[Figure]) -> str:
    """Lay the figures out, with their notes below."""
    figures = list(figures)
    rows = [_HEADER, *(_row(figure) for figure in figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if place < _TEXT_COLUMNS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    notes = list(
        dict.fromkeys(f"{figure.benchmark}, {figure.what}: {figure.note}" for figure in figures if figure.note)
    )
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _row(figure: Figure) -> tuple[str, ...]:
    ours = figure.ours
    numbers = (
        [number(value) for value in (ours.median, ours.low, ours.high, ours.p99)] + [str(ours.count)]
        if ours
        else ["-"] * 5
    )
    aim = ""
    if figure.aim is not None:
        aim = f"{'>=' if figure.higher else '<='} {number(figure.aim)}{'' if figure.aim_of == 'median' else ' ' + figure.aim_of}"
    verdict = {True: "yes", False: "NO", None: ""}[figure.reached]
    return (
        figure.benchmark, figure.what, figure.unit, *numbers, aim, verdict,
        number(getattr(figure.peer, figure.aim_of)) if figure.peer else "", f"{figure.ratio:.1f}" if figure.ratio else "",
    )  # fmt: skip


def number(value: float) -> str:
    """Write with three digits that matter."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if value >= 100 else f"{value:.3g}"
