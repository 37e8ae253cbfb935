"""A push while it is on its way: a line per happening for a pipe, and a table of hosts for a terminal."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from .answers_rollout import PushNote
from .page import Cell, Column, Line, Page, Table, Tone
from .text import count, seconds

COLUMNS: Final = (
    Column("HOST"),
    Column("STATE"),
    Column("CHANGES", right=True),
    Column("TIME", right=True),
    Column(""),
)
TONES: Final[dict[str, Tone]] = {
    "released": "warn",
    "applied": "good",
    "refused": "bad",
    "absent": "bad",
    "lost": "bad",
    "failed": "bad",
    "paused": "warn",
    "rolling back": "bad",
}
_ENDS: Final = ("converged", "failed", "aborted", "alive")


def is_news(note: PushNote) -> bool:
    """Say whether a note tells more than the result that follows it."""
    return bool(note.host) or note.phase not in _ENDS


def note_line(note: PushNote) -> Line:
    """Write one happening in one line."""
    if (said := _about_all(note)) is not None:
        return said
    parts = [f"{note.host}: {note.phase}" if note.host else note.phase]
    if note.generation and not note.host:
        parts.append(f"generation {note.generation}")
    if note.hosts:
        parts.append(count(len(note.hosts), "host"))
    if note.wave is not None:
        parts.append(f"wave {note.wave}" + (f" ({note.purpose})" if note.purpose else ""))
    if note.changes is not None:
        parts.append(count(note.changes, "change") if note.changes else "no changes")
    if note.seconds is not None:
        parts.append(f"after {seconds(note.seconds)}")
    error = f": {note.error}" if note.error else ""
    return Line(", ".join(parts) + error, "bad" if error else TONES.get(note.phase, "plain"))


def _about_all(note: PushNote) -> Line | None:  # noqa: PLR0911 - one per phase
    """Write what concerns the rollout as a whole; None for anything else."""
    match note.phase:
        case "watching":
            return Line(f"wave {note.wave}: watching: {'; '.join(note.waiting)}", "dim")
        case "gate":
            return Line(f"wave {note.wave} hurts: {'; '.join(note.problems)}", "bad")
        case "paused":
            return Line(f"paused behind wave {note.wave}: go on with lbmaster rollout resume, or abort", "warn")
        case "draining":
            return Line(f"draining what is removed: {count(note.left or 0, 'connection')} left", "warn")
        case "moving":
            return Line("waiting for VIPs to move", "dim")
        case "queued":
            return Line(f"queued: {'; '.join(note.waiting)}", "dim")
        case "rolling back":
            back = f"rolling back to the content of generation {note.content_of}"
            return Line(f"{back}: {note.error}" if note.error else back, "bad")
        case _:
            return None


class Progress:
    """Gathers notes; `page()` is how far every host is."""

    def __init__(self) -> None:
        self._generation = 0
        self._hosts: dict[str, PushNote] = {}
        self._said: tuple[Line, ...] = ()

    def take(self, note: PushNote) -> None:
        """Take the next happening."""
        if note.phase == "staging" and note.generation != self._generation:
            self._hosts.clear()
        self._generation = note.generation or self._generation
        if not note.host:
            for host in note.hosts:
                self._hosts.setdefault(host, PushNote("waiting", host))
            if (said := _about_all(note)) is not None:
                # What hurts stays to be read; what is only waited for gives way to the next.
                self._said = (*(line for line in self._said if line.tone == "bad"), said)
            return
        if self._said and self._said[-1].tone != "bad":
            self._said = self._said[:-1]
        known = self._hosts.get(note.host)
        changes = note.steps if note.steps is not None else known.steps if known else None
        self._hosts[note.host] = replace(note, steps=changes)

    def page(self) -> Page:
        """Show the hosts in the order in which they were first heard of."""
        title = f"Pushing generation {self._generation}" if self._generation else "Pushing"
        rows = tuple(
            (
                Cell(name, "bold"),
                Cell(note.phase, "bad" if note.error else TONES.get(note.phase, "plain")),
                Cell("" if note.changes is None else str(note.changes)),
                Cell("" if note.seconds is None else seconds(note.seconds)),
                Cell(note.error or "", "bad"),
            )
            for name, note in self._hosts.items()
        )
        return (Line(title, "bold"), Table(COLUMNS, rows), *self._said)
