"""What became of every line that was read: remarks, the notebook that collects them, and the one error of an import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

Fate: TypeAlias = Literal["taken", "guessed", "dropped", "unknown", "contradicted", "wrong"]
"""What became of something: `wrong` needs the user before the cluster file can be used as it was meant."""

Severity: TypeAlias = Literal["info", "warning", "error"]

_SEVERITIES: Final[dict[Fate, Severity]] = {
    "taken": "info",
    "guessed": "warning",
    "dropped": "warning",
    "unknown": "warning",
    "contradicted": "warning",
    "wrong": "error",
}


class Place(NamedTuple):
    """A line of a file, counted from 1; line 0 is the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Remark:
    """One keyword at one place: its fate, what is to be said of it, and the way out ("" for what was simply taken)."""

    place: Place
    keyword: str
    fate: Fate
    said: str
    way_out: str

    @property
    def severity(self) -> Severity:
        return _SEVERITIES[self.fate]

    def describe(self) -> str:
        """Say it in one line, as compilers do and as findings in cluster files do."""
        said = f"{self.said}; {self.way_out}" if self.way_out else self.said
        keyword = f"{self.keyword}: " if self.keyword else ""
        return f"{self.place}: {self.severity}: {keyword}{said}"


class CannotImport(Exception):
    """Nothing can be made of the text: `place`, what is wrong there, and the way out."""

    def __init__(self, place: Place, wrong: str, way_out: str) -> None:
        super().__init__(f"{place}: {wrong}; {way_out}")
        self.place = place
        self.wrong = wrong
        self.way_out = way_out


class Unreadable(Exception):
    """A file that `Files` cannot read: `reason` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Files(Protocol):
    """How included files are found and read; whoever may do I/O implements it."""

    def find(self, pattern: str, directory: str) -> Sequence[str]:
        """Return the names of the files that a pattern (wildcards, braces) names when seen from a directory."""

    def read(self, name: str) -> str:
        """Return the text of a file that `find` named; raises `Unreadable`."""

    def directory(self, name: str) -> str:
        """Return the directory of a file: what relative names in it begin at."""


@dataclass(slots=True)
class Notebook:
    """Collects remarks in the order in which they are made."""

    remarks: list[Remark] = field(default_factory=list)

    def taken(self, place: Place, keyword: str, said: str) -> None:
        """It is in the cluster file, as it was meant."""
        self.remarks.append(Remark(place, keyword, "taken", said, ""))

    def guessed(self, place: Place, keyword: str, said: str, way_out: str) -> None:
        """Something is in the cluster file that was not said, or not like that."""
        self.remarks.append(Remark(place, keyword, "guessed", said, way_out))

    def dropped(self, place: Place, keyword: str, said: str, way_out: str) -> None:
        """It is understood, and not in the cluster file."""
        self.remarks.append(Remark(place, keyword, "dropped", said, way_out))

    def unknown(self, place: Place, keyword: str, where: str) -> None:
        """Nobody knows this word here."""
        self.remarks.append(
            Remark(place, keyword, "unknown", f"there is no such keyword {where}", "check its spelling and its block")
        )

    def contradicted(self, place: Place, keyword: str, said: str, way_out: str) -> None:
        """Another file says something else."""
        self.remarks.append(Remark(place, keyword, "contradicted", said, way_out))

    def wrong(self, place: Place, keyword: str, said: str, way_out: str) -> None:
        """The cluster file lacks it, or cannot be used, until somebody has changed something."""
        self.remarks.append(Remark(place, keyword, "wrong", said, way_out))


def count(number: int, noun: str) -> str:
    """Write "1 VIP", "2 VIPs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def merged(remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Make one remark of those that say the same about different lines of a file; in the order of the first ones."""
    places: dict[tuple[str, str, Fate, str, str], list[int]] = {}
    for remark in remarks:
        key = (remark.place.file, remark.keyword, remark.fate, remark.said, remark.way_out)
        places.setdefault(key, []).append(remark.place.line)
    for (file, keyword, fate, said, way_out), lines in places.items():
        others = sorted(set(lines[1:]) - {lines[0]})
        yield Remark(Place(file, lines[0]), keyword, fate, said + _also(others), way_out)


_SHOWN: Final = 8


def _also(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    shown = ", ".join(map(str, lines[:_SHOWN]))
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return f" (also line{'s' if len(lines) > 1 else ''} {shown}{more})"
