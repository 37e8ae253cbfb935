"""`~SEQ(...)` and `~LST(...)` of keepalived.conf: one line that stands for many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SEQ: Final = re.compile(r"~SEQ(?P<hex>x?)[ \t]*\((?P<inside>[^()]*)\)(?P<rest>.*)", re.DOTALL)
_LST: Final = re.compile(r"~LST[ \t]*\((?P<inside>[^()]*)\)(?P<rest>.*)", re.DOTALL)
_GROUP: Final = re.compile(r"\{([^{}]*)\}|([^,{}]+)")
_NUMBER: Final = re.compile(r"-?(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Repeat:
    """`rest` is to be read once for each of `values`, with these for the parameters `names`."""

    names: tuple[str, ...]
    values: Iterable[tuple[str, ...]]
    rest: str


def read_repeat(line: str) -> Repeat | None:
    """Read the repetition that a line begins with; None if it is none that makes sense."""
    if match := _SEQ.fullmatch(line):
        return _sequence(match)
    if match := _LST.fullmatch(line):
        return _list(match)
    return None


def _sequence(match: re.Match[str]) -> Repeat | None:
    name, *texts = (word.strip() for word in match["inside"].split(","))
    if not _NAME.fullmatch(name) or not all(_NUMBER.fullmatch(text) for text in texts):
        return None
    match [int(text, 16 if "x" in text.lower() else 10) for text in texts]:
        case [end]:
            start, step = (1, 1) if end > 0 else (-1, -1)
        case [start, end]:
            step = 1 if end >= start else -1
        case [start, step, end] if step:
            pass
        case _:
            return None
    form = "x" if match["hex"] else "d"
    return Repeat((name,), _Numbers(range(start, end + (1 if step > 0 else -1), step), form), match["rest"].strip())


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Formats when asked for: a sequence may have more numbers than there is memory."""

    numbers: range
    form: str

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return ((format(number, self.form),) for number in self.numbers)


def _list(match: re.Match[str]) -> Repeat | None:
    groups = [
        tuple(part.strip() for part in braced.split(",")) if braced else (single.strip(),)
        for braced, single in _GROUP.findall(match["inside"])
        if braced or single.strip()
    ]
    if not groups or not all(_NAME.fullmatch(name) for name in groups[0]):
        return None
    return Repeat(groups[0], groups[1:], match["rest"].strip())
