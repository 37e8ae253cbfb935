"""What the master answers about pushes, typed: one on its way, how it ended, and the generations that came of them.

As in `answers`, unknown fields are skipped and missing ones have a default.
"""

from __future__ import annotations

import msgspec

from .answers import Answer, Finding, Steps


class PushNote(Answer, frozen=True):
    """One happening of a rollout, of a host or (`host` "") of all `hosts`; `steps` is how many changes, or which.

    `waiting` says what cannot be told yet, `problems` what hurts; `left` are connections, `content_of` a generation.
    """

    phase: str
    host: str | None = ""
    hosts: tuple[str, ...] = ()
    generation: int | None = 0
    wave: int | str | None = None
    purpose: str = ""
    steps: int | Steps | None = None
    error: str | None = ""
    seconds: float | None = None
    waiting: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    left: int | None = None
    content_of: int = 0

    @property
    def changes(self) -> int | None:
        return sum(step.count for step in self.steps) if isinstance(self.steps, tuple) else self.steps


class PushedHost(Answer, frozen=True):
    """How a host ended."""

    state: str
    steps: Steps = ()
    seconds: float | None = None
    problem: str | None = ""


class WentBack(Answer, frozen=True):
    """A rollback: the generation that has the content of another again, and whether every host has it."""

    generation: int
    content_of: int
    outcome: str
    problems: dict[str, str] = msgspec.field(default_factory=dict)


class Push(Answer, frozen=True):
    """The answer to push; `outcome` is converged, failed, rolled_back or aborted.

    `gate` says what hurt; `missing` hosts were away, and allowed to be; `dropped` interventions have no place in the file;
    `left`: connections that what was removed still had (None: nothing was drained); `stays`: why what failed was not taken
    back (a word of docs/control.md); `released`: the generation in force in the end.
    """

    cluster: str
    generation: int
    outcome: str
    hosts: dict[str, PushedHost]
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()
    gate: tuple[str, ...] = ()
    rollback: WentBack | None = None
    missing: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    left: int | None = None
    stays: str = ""
    released: int = 0


class Change(Push, frozen=True):
    """The answer to drain, undrain, maintenance, switchover and evacuate: a push with the same file.

    `source` and `target` of a VIP that `moved` within `took` seconds; `holds`: who, or what, is held in the end.
    `overtaken`: what was not `taken_back` is no longer in force, since something else was decided meanwhile.
    """

    what: str = ""
    source: str | None = msgspec.field(default=None, name="from")
    target: str | None = msgspec.field(default=None, name="to")
    moved: bool = True
    took: float = 0.0
    holds: tuple[str, ...] | str = ()
    taken_back: bool = False
    overtaken: bool = False


class Generation(Answer, frozen=True):
    """One line of the history; `time` is Unix time, `content_of` the generation that it repeats (0: none)."""

    generation: int
    kind: str = ""
    status: str = ""
    by: str = ""
    origin: str = ""
    reason: str = ""
    file: str = ""
    time: float = 0.0
    content_of: int = 0
    interventions: tuple[str, ...] = ()


class History(Answer, frozen=True):
    """The answer to history, newest first; `released` is what every host was told to be."""

    cluster: str
    generations: tuple[Generation, ...] = ()
    released: int = 0


class Difference(Answer, frozen=True):
    """The answer to diff: lines of the file, of what operators decided, and of the desired states."""

    cluster: str
    file: tuple[str, ...] = ()
    interventions: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


class Wave(Answer, frozen=True):
    """Hosts that are released at once, and which these are."""

    purpose: str = ""
    hosts: tuple[str, ...] = ()


class Rollout(Answer, frozen=True):
    """A rollout on its way. `wave` counts those that were released; `hosts`: how far each is."""

    generation: int = 0
    kind: str = "push"
    phase: str = ""
    wave: int = 0
    waves: tuple[Wave, ...] = ()
    waiting: tuple[str, ...] = ()
    left: int | None = None
    hosts: dict[str, str] = msgspec.field(default_factory=dict)


class Rollouts(Answer, frozen=True):
    """The answer to rollout.status: cluster -> its rollout, if there is one."""

    clusters: dict[str, Rollout | None]
