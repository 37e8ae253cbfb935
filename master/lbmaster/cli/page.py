"""What is to be shown, as values: lines and tables with a tone, before anything knows where they will be printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone: TypeAlias = Literal["plain", "good", "bad", "warn", "dim", "bold"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table. The text says all there is to know; the tone only repeats it for the eye."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Column:
    """`right`: numbers, aligned right. `once`: on a terminal, repeat nothing that stands in the row above."""

    name: str
    right: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows have as many cells as there are columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `terminal_only`: help for the eye that would be in the way in a pipe."""

    text: str = ""
    tone: Tone = "plain"
    indent: int = 0
    terminal_only: bool = False


Page: TypeAlias = tuple[Line | Table, ...]
