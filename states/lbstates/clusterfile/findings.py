"""What is found wrong with a cluster file, and the error that carries it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Where something stands in the file: ("services", 0, "port")."""


Severity: TypeAlias = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to change: the line (from 1), the field ("services[0].port"), what is wrong, what would be right.

    A file with warnings can be used as it is; an info is nothing but a reminder.
    """

    line: int
    field: str
    wrong: str
    right: str
    severity: Severity = "error"

    def describe(self, name: str) -> str:
        """Say it in one line, as compilers do, so that editors find the place; `name` is the file's."""
        field = f"{self.field}: " if self.field else ""
        return f"{name}:{self.line}: {self.severity}: {field}{self.wrong}; {self.right}"


class ClusterFileError(Exception):
    """The cluster file `name` cannot be used; `findings` (errors and warnings, by line) say why."""

    def __init__(self, name: str, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(finding.describe(name) for finding in findings))
        self.name = name
        self.findings = findings


def dotted(path: Path) -> str:
    """Write a path as users do: "services[0].port"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def suggestion(word: str, known: Iterable[str]) -> str:
    """Guess what was meant, or list what there is."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"possible here: {', '.join(words)}" if words else "there is none to choose from"
