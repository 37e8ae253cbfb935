"""One generation on its way, as a state machine: what happened goes in, instructions come out. Pure.

Staging: every host has to say that it verified and planned the generation. If one refuses, is lost, or says nothing
before the deadline, the rollout fails and nothing was released. Then the waves are released one by one, each when every
host of the one before has applied and its gate has passed. A host that cannot apply, or is lost, fails its wave: no
further one is released. Who is `optional` holds up nobody, and a `forgiving` rollout (one that takes another back) goes
on whoever fails.

What waits on purpose (a gate, an operator, a drain), or only for who is `optional`, does not count against the deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from .waves import Wave, Waves

OPTIONAL_SECONDS: Final = 5.0
"""So long the others wait for who is there and holds up nobody: as long as for one that is about to be lost."""

Phase = Literal["staging", "applying", "gating", "paused", "draining", "converged", "failed", "aborted"]
Outcome = Literal["converged", "failed", "aborted"]


# --- what happens ---------------------------------------------------------------------------------------------------


class Staged(msgspec.Struct, frozen=True):
    """A host has verified and planned the generation."""

    host: str


class Applied(msgspec.Struct, frozen=True):
    """The generation is in force on a host, and was read back."""

    host: str


class RefusedBy(msgspec.Struct, frozen=True):
    """A host cannot stage or apply the generation."""

    host: str
    reason: str


class Lost(msgspec.Struct, frozen=True):
    """A host's lease ran out."""

    host: str


class Back(msgspec.Struct, frozen=True):
    """A host that was lost is heard of again."""

    host: str


class Looked(msgspec.Struct, frozen=True):
    """The gate was looked at: `problems` say what hurts; with `waiting` it cannot be told yet."""

    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


class Drained(msgspec.Struct, frozen=True):
    """What leaves has no connections any more."""


class Resumed(msgspec.Struct, frozen=True):
    """An operator lets the rollout go on after a pause."""


class Aborted(msgspec.Struct, frozen=True):
    """An operator ends the rollout."""


class Tick(msgspec.Struct, frozen=True):
    """Time has passed."""


Happening: TypeAlias = Staged | Applied | RefusedBy | Lost | Back | Looked | Drained | Resumed | Aborted | Tick


# --- what is to be done ---------------------------------------------------------------------------------------------


class ReleaseWave(msgspec.Struct, frozen=True):
    """Let these hosts apply the generation. `number` counts from 1; `last`: now every host is released."""

    number: int
    purpose: str
    hosts: tuple[str, ...]
    last: bool


class LookAtGate(msgspec.Struct, frozen=True):
    """A wave has applied: look whether it hurts, and say so by `Looked` until it can be told."""

    number: int


class Pause(msgspec.Struct, frozen=True):
    """Wait for an operator, after this wave."""

    number: int


class Drain(msgspec.Struct, frozen=True):
    """Wait until what leaves has no connections."""


class Finish(msgspec.Struct, frozen=True):
    """The rollout is over. `problems`: host -> what went wrong there; `gate`: what hurt."""

    outcome: Outcome
    problems: dict[str, str]
    gate: tuple[str, ...] = ()


Instruction: TypeAlias = ReleaseWave | LookAtGate | Pause | Drain | Finish


class Rollout(msgspec.Struct, frozen=True):
    """`waves` hold every host once; `released` counts the waves that were released; times are on the caller's clock.

    `gates`: a gate behind every wave. `pauses`: the numbers of waves behind which an operator is waited for, but for
    those up to `approved`. `drain`: seconds that what leaves may take after the last wave. `since`: when the phase began.
    """

    waves: Waves
    deadline: float
    wave_timeout: float = 0.0
    gates: bool = False
    pauses: frozenset[int] = frozenset()
    approved: int = 0
    drain: float = 0.0
    optional: frozenset[str] = frozenset()
    forgiving: bool = False
    phase: Phase = "staging"
    released: int = 0
    since: float = 0.0
    staged: frozenset[str] = frozenset()
    applied: frozenset[str] = frozenset()
    refused: dict[str, str] = {}
    lost: frozenset[str] = frozenset()

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for wave in self.waves for host in wave.hosts)

    @property
    def wave(self) -> Wave:
        """The last wave that was released."""
        return self.waves[self.released - 1]

    @property
    def may_apply(self) -> frozenset[str]:
        return frozenset(host for wave in self.waves[: self.released] for host in wave.hosts)

    @property
    def over(self) -> bool:
        return self.phase in ("converged", "failed", "aborted")

    @property
    def wakes(self) -> float | None:
        """When a `Tick` is due; None: only a happening can change anything."""
        match self.phase:
            case "staging":
                return self.bound
            case "applying":
                return self.bound
            case "draining":
                return self.since + self.drain
            case _:
                return None

    @property
    def awaited(self) -> tuple[str, ...]:
        """The hosts that have yet to stage, or to apply."""
        if self.phase == "staging":
            return tuple(host for host in self.hosts if host not in {*self.staged, *self.lost, *self.refused})
        if self.phase == "applying":
            return tuple(host for host in self.wave.hosts if host not in {*self.applied, *self.lost, *self.refused})
        return ()

    @property
    def bound(self) -> float:
        """By when the hosts that are waited for have to have done it.

        A way back has its time wave by wave: it begins when the push has used up its own.
        """
        if self.forgiving and self.wave_timeout:
            return self.since + self.wave_timeout
        bound = self.deadline
        if self.wave_timeout and self.phase != "staging":
            bound = min(bound, self.since + self.wave_timeout)
        return min(bound, self.since + OPTIONAL_SECONDS) if self.only_optional else bound

    @property
    def only_optional(self) -> bool:
        """Whether all that are still waited for hold up nobody."""
        return bool(self.awaited) and self.optional.issuperset(self.awaited)


Result = tuple[Rollout, tuple[Instruction, ...]]


def step(rollout: Rollout, happening: Happening, now: float) -> Result:  # noqa: PLR0911 - one per phase
    """Take in what happened, and say what is to be done. What comes after the end, or from others, changes nothing."""
    if rollout.over:
        return rollout, ()
    if isinstance(happening, Aborted):
        return _finish(rollout, "aborted", {})
    rollout = _note(rollout, happening)
    match rollout.phase:
        case "staging":
            return _staging(rollout, now)
        case "applying":
            return _applying(rollout, now)
        case "gating" if isinstance(happening, Looked):
            return _gating(rollout, happening, now)
        case "paused" if isinstance(happening, Resumed):
            return _onward(msgspec.structs.replace(rollout, approved=rollout.released), now)
        case "draining" if isinstance(happening, Drained) or now >= rollout.since + rollout.drain:
            return _end(rollout)
        case _:
            return rollout, ()


def _note(rollout: Rollout, happening: Happening) -> Rollout:
    match happening:
        case Staged(host) if host in rollout.hosts:
            return msgspec.structs.replace(rollout, staged=rollout.staged | {host})
        # What was not released cannot have been applied in this rollout; after a restart of the master it can.
        case Applied(host) if host in rollout.hosts:
            refused = {name: reason for name, reason in rollout.refused.items() if name != host}
            return msgspec.structs.replace(
                rollout, staged=rollout.staged | {host}, applied=rollout.applied | {host}, refused=refused
            )
        case RefusedBy(host, reason) if host in rollout.hosts and host not in rollout.applied:
            return msgspec.structs.replace(rollout, refused={**rollout.refused, host: reason})
        case Lost(host) if host in rollout.hosts:
            return msgspec.structs.replace(rollout, lost=rollout.lost | {host})
        case Back(host):
            return msgspec.structs.replace(rollout, lost=rollout.lost - {host})
        case _:
            return rollout


def _staging(rollout: Rollout, now: float) -> Result:
    lost = {host for host in rollout.lost if host not in rollout.staged}
    missing = rollout.awaited
    if missing and now < rollout.bound:
        return rollout, ()
    if rollout.only_optional:
        rollout = _excuse_wait(rollout, now)
    problems = {
        **rollout.refused,
        **dict.fromkeys(lost, "was lost before it had staged"),
        **dict.fromkeys(missing, "has not staged in time"),
    }
    if not rollout.forgiving and (barring := _barring(rollout, problems)):
        return _finish(rollout, "failed", {host: f"{said}; nothing was released" for host, said in barring.items()})
    rollout = msgspec.structs.replace(rollout, refused=_without(problems, rollout.lost))
    return _release(rollout, now)


def _release(rollout: Rollout, now: float) -> Result:
    """Release the next wave, or end after the last. Nobody in a wave has to be told what it has done already."""
    if rollout.released == len(rollout.waves):
        if rollout.drain:
            return msgspec.structs.replace(rollout, phase="draining", since=now), (Drain(),)
        return _end(rollout)
    number, wave = rollout.released + 1, rollout.waves[rollout.released]
    hosts = tuple(h for h in wave.hosts if h not in rollout.applied and h not in rollout.refused)
    rollout = msgspec.structs.replace(rollout, released=number, phase="applying", since=now)
    instruction = ReleaseWave(number, wave.purpose, hosts, last=number == len(rollout.waves))
    further, instructions = _applying(rollout, now)
    return further, (instruction, *instructions)


def _applying(rollout: Rollout, now: float) -> Result:
    waiting = rollout.awaited
    if waiting and now < rollout.bound:
        return rollout, ()
    if rollout.only_optional:
        rollout = _excuse_wait(rollout, now)
    lost = [host for host in rollout.wave.hosts if host in rollout.lost and host not in rollout.applied]
    problems = {
        **{host: reason for host, reason in rollout.refused.items() if host in rollout.wave.hosts},
        **dict.fromkeys(lost, "was released, and lost before it had applied"),
        **dict.fromkeys(waiting, "was released and has not applied in time"),
    }
    if not rollout.forgiving and (barring := _barring(rollout, problems)):
        return _finish(rollout, "failed", _with_held(rollout, barring, "not released, because of the others"))
    rollout = msgspec.structs.replace(rollout, refused={**rollout.refused, **_without(problems, rollout.lost)})
    if rollout.gates:
        return msgspec.structs.replace(rollout, phase="gating", since=now), (LookAtGate(rollout.released),)
    return _passed(rollout, now)


def _gating(rollout: Rollout, looked: Looked, now: float) -> Result:
    lost = sorted(host for host in rollout.wave.hosts if host in rollout.lost and host not in rollout.optional)
    problems = (*looked.problems, *(f"{host} was lost after it had applied" for host in lost))
    if problems:
        held = _with_held(rollout, {}, "not released, because the gate did not pass")
        return _finish(rollout, "failed", held, problems)
    if looked.waiting:
        return rollout, ()
    return _passed(_excuse_wait(rollout, now), now)


def _passed(rollout: Rollout, now: float) -> Result:
    behind_last = rollout.released == len(rollout.waves)
    if rollout.released in rollout.pauses and rollout.released > rollout.approved and not behind_last:
        return msgspec.structs.replace(rollout, phase="paused", since=now), (Pause(rollout.released),)
    return _release(rollout, now)


def _onward(rollout: Rollout, now: float) -> Result:
    return _release(_excuse_wait(rollout, now), now)


def _excuse_wait(rollout: Rollout, now: float) -> Rollout:
    """Move the deadline by what was waited for on purpose."""
    return msgspec.structs.replace(rollout, deadline=rollout.deadline + now - rollout.since)


def _end(rollout: Rollout) -> Result:
    problems = _excused(rollout)
    failed = rollout.forgiving and _barring(rollout, problems)
    return _finish(rollout, "failed" if failed else "converged", problems)


def _excused(rollout: Rollout) -> dict[str, str]:
    """Say who did not get there although the others went on."""
    lost = {host: "was lost" for host in rollout.lost if host not in rollout.applied}
    return {**lost, **rollout.refused}


def _barring(rollout: Rollout, problems: Mapping[str, str]) -> dict[str, str]:
    return {host: said for host, said in problems.items() if host not in rollout.optional}


def _without(problems: Mapping[str, str], lost: frozenset[str]) -> dict[str, str]:
    """Leave out who is only lost: when he comes back, he is one of all again."""
    return {host: said for host, said in problems.items() if host not in lost}


def _with_held(rollout: Rollout, problems: Mapping[str, str], why: str) -> dict[str, str]:
    held = [host for wave in rollout.waves[rollout.released :] for host in wave.hosts]
    return {**problems, **dict.fromkeys(held, why)}


def _finish(rollout: Rollout, outcome: Outcome, problems: Mapping[str, str], gate: tuple[str, ...] = ()) -> Result:
    return msgspec.structs.replace(rollout, phase=outcome), (Finish(outcome, dict(problems), gate),)
