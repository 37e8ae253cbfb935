"""Rollouts, history and differences as pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .answers_rollout import Difference, Generation, History, Rollout, Rollouts
from .page import Cell, Column, Line, Page, Table, Tone
from .text import clock, count

WAVE_COLUMNS: Final = (Column("WAVE"), Column("PURPOSE"), Column("STATE"), Column("HOSTS"))
HISTORY_COLUMNS: Final = (
    Column("GENERATION"),
    Column("TIME"),
    Column("KIND"),
    Column("STATUS"),
    Column("BY"),
    Column("REASON"),
    Column("IN FORCE"),
)
_STATUS_TONES: Final[dict[str, Tone]] = {"converged": "good", "failed": "bad", "rolled_back": "bad"}
_DETAIL_TONES: Final[dict[str, Tone]] = {"+": "good", "-": "bad", "@": "dim"}


def rollouts_page(rollouts: Rollouts) -> Page:
    """Show what is on its way in every cluster."""
    parts: list[Line | Table] = []
    for name, rollout in sorted(rollouts.clusters.items()):
        if rollout is not None:
            parts += [*_rollout(name, rollout), Line()]
    return tuple(parts[:-1]) or (Line("Nothing is being rolled out."),)


def _rollout(name: str, rollout: Rollout) -> Iterator[Line | Table]:
    tone: Tone = "warn" if rollout.phase == "paused" else "bold"
    yield Line(f"Cluster {name}: {rollout.kind}, generation {rollout.generation}: {rollout.phase}", tone)
    for said in rollout.waiting:
        yield Line(f"watching: {said}", "dim", 2)
    if rollout.phase == "draining" and rollout.left is not None:
        yield Line(f"{count(rollout.left, 'connection')} left to what is removed", "warn", 2)
    if rollout.phase == "paused":
        yield Line("go on with lbmaster rollout resume, or take it back with lbmaster rollout abort", "warn", 2)
    rows = []
    for number, wave in enumerate(rollout.waves, 1):
        state = "to come" if number > rollout.wave else "released" if number == rollout.wave else "done"
        hosts = ", ".join(f"{host} {rollout.hosts.get(host, '')}".strip() for host in wave.hosts)
        rows.append((Cell(str(number), "bold"), Cell(wave.purpose), Cell(state), Cell(hosts)))
    yield Table(WAVE_COLUMNS, tuple(rows))


def history_page(history: History) -> Page:
    """Show the generations, and which one is in force."""
    if not history.generations:
        return (Line(f"Nothing of {history.cluster} was pushed yet."),)
    return (Table(HISTORY_COLUMNS, tuple(_generation(it, history.released) for it in history.generations)),)


def _generation(it: Generation, released: int) -> tuple[Cell, ...]:
    kind = f"{it.kind} to {it.content_of}" if it.kind == "rollback" and it.content_of else it.kind
    return (
        Cell(str(it.generation) + (" *" if it.generation == released else ""), "bold"),
        Cell(clock(it.time)),
        Cell(kind),
        Cell(it.status.replace("_", " "), _STATUS_TONES.get(it.status, "warn")),
        Cell(it.by),
        Cell(it.reason),
        Cell("; ".join(it.interventions)),
    )


def difference_page(difference: Difference) -> Page:
    """Show the lines of the files, then what was decided, then the states."""
    parts = [
        Line(line, "dim" if line.startswith(("--- ", "+++ ")) else _DETAIL_TONES.get(line[:1], "plain"))
        for line in difference.file
    ]
    if difference.interventions:
        parts.append(Line("Decided by operators:", "bold"))
        parts += [Line(line, _DETAIL_TONES.get(line[:1], "plain"), 2) for line in difference.interventions]
    if difference.states:
        parts.append(Line("Desired states:", "bold"))
        parts += [Line(f"~ {line}", "warn", 2) for line in difference.states]
    return tuple(parts) or (Line("No difference."),)
