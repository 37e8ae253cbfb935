"""Putting pages on standard output: tables and colour on a terminal, plain and stable text in a pipe.

The only module that knows rich, which is loaded for a terminal only. In a pipe a table is a line of column names and a
line per row, fields separated by one tab, nothing shortened, no colour. Every text is made harmless here, and none is
read as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .page import Cell, Column, Line, Page, Table, Tone
from .text import safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STYLES: Final[dict[Tone, str]] = {
    "plain": "",
    "good": "green",
    "bad": "bold red",
    "warn": "yellow",
    "dim": "dim",
    "bold": "bold",
}
FRAMES_PER_SECOND: Final = 10


def on_terminal() -> bool:
    """Say whether people look at standard output right now."""
    return sys.stdout.isatty()


def show(page: Page) -> None:
    """Print a page."""
    if on_terminal():
        console = _console()
        for part in page:
            # A terminal wraps long lines itself, so that they can be copied whole; tables have to fit.
            console.print(_rich(part), soft_wrap=isinstance(part, Line))
        return
    for line in plain(page):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show_fields(fields: Sequence[str], widths: Sequence[int], tone: Tone) -> None:
    """Print one row of a table that has no end; `widths` (for a terminal) are for all fields but the last."""
    harmless = [safe(field) for field in fields]
    if on_terminal():
        padded = [field.ljust(width) for field, width in zip(harmless, widths, strict=False)]
        show((Line(" ".join([*padded, harmless[-1]]), tone),))
        return
    sys.stdout.write("\t".join(harmless) + "\n")
    sys.stdout.flush()


def show_json(document: object, *, one_line: bool = False) -> None:
    """Print a JSON document: indented, or as one of many lines."""
    sys.stdout.write(json.dumps(document, indent=None if one_line else 2) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print an error on standard error."""
    lines = (safe(line) for line in text.split("\n"))
    sys.stderr.write("Error: " + "\n".join(lines) + "\n")


def plain(page: Page) -> Iterator[str]:
    """Write a page as lines for a pipe."""
    for part in page:
        if isinstance(part, Line):
            if not part.terminal_only:
                yield " " * part.indent + safe(part.text)
        else:
            yield "\t".join(column.name for column in part.columns)
            for row in part.rows:
                yield "\t".join(safe(cell.text) or "-" for cell in row)


def remark(text: str) -> None:
    """Print a line on standard error that is no error: what goes on meanwhile."""
    sys.stderr.write(safe(text) + "\n")
    sys.stderr.flush()


@contextmanager
def changing() -> Iterator[Callable[[Page], None]]:
    """Give a function that shows a page in place of the one before it; the last one stays. For terminals."""
    from rich.console import Group  # noqa: PLC0415 - loaded for a terminal only
    from rich.live import Live  # noqa: PLC0415

    with Live(console=_console(), refresh_per_second=FRAMES_PER_SECOND, vertical_overflow="visible") as live:
        yield lambda page: live.update(Group(*map(_rich, page)), refresh=True)


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 - loaded for a terminal only

    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)


def _rich(part: Line | Table) -> RenderableType:
    from rich.table import Table as RichTable  # noqa: PLC0415 - loaded for a terminal only
    from rich.text import Text  # noqa: PLC0415

    if isinstance(part, Line):
        return Text(" " * part.indent + safe(part.text), style=STYLES[part.tone])
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in part.columns:
        # A number must not be folded; one that does not fit is seen to be cut.
        if column.right:
            drawn.add_column(column.name, justify="right", no_wrap=True, overflow="ellipsis")
        else:
            drawn.add_column(column.name, overflow="fold")
    above: tuple[Cell, ...] = ()
    for row in part.rows:
        cells = _without_repeats(part.columns, row, above)
        drawn.add_row(*(Text(safe(cell.text), style=STYLES[cell.tone]) for cell in cells))
        above = row
    return drawn


def _without_repeats(columns: tuple[Column, ...], row: tuple[Cell, ...], above: tuple[Cell, ...]) -> Iterator[Cell]:
    repeating = bool(above)
    for number, (column, cell) in enumerate(zip(columns, row, strict=True)):
        repeating = repeating and column.once and cell.text == above[number].text
        yield Cell("") if repeating else cell
