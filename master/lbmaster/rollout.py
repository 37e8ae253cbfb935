"""One push on its way, as a state machine: what happened goes in, instructions come out. Pure.

Staging: every host has to say that it verified and planned the generation. If one refuses, or is not heard of before
the deadline, the rollout fails and nothing was released. Then the waves are released one by one, each when every host
of the one before has applied; if a host cannot apply, no further wave is released.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Phase = Literal["staging", "applying", "converged", "failed"]


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


class Tick(msgspec.Struct, frozen=True):
    """Time has passed."""


Happening: TypeAlias = Staged | Applied | RefusedBy | Tick


# --- what is to be done ---------------------------------------------------------------------------------------------


class ReleaseWave(msgspec.Struct, frozen=True):
    """Let these hosts apply the generation. `number` counts from 1; `last`: now every host is released."""

    number: int
    hosts: tuple[str, ...]
    last: bool


class Finish(msgspec.Struct, frozen=True):
    """The rollout is over; `problems`: host -> what went wrong there."""

    outcome: Literal["converged", "failed"]
    problems: dict[str, str]


Instruction: TypeAlias = ReleaseWave | Finish


class Rollout(msgspec.Struct, frozen=True):
    """`waves` hold every host once; `released` counts the waves that were released; `deadline` is on the caller's clock."""

    waves: tuple[tuple[str, ...], ...]
    deadline: float
    phase: Phase = "staging"
    released: int = 0
    staged: frozenset[str] = frozenset()
    applied: frozenset[str] = frozenset()
    refused: dict[str, str] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for wave in self.waves for host in wave)

    @property
    def may_apply(self) -> frozenset[str]:
        return frozenset(host for wave in self.waves[: self.released] for host in wave)

    @property
    def over(self) -> bool:
        return self.phase in ("converged", "failed")


def step(rollout: Rollout, happening: Happening, now: float) -> tuple[Rollout, tuple[Instruction, ...]]:
    """Take in what happened, and say what is to be done. What comes after the end, or from others, changes nothing."""
    if rollout.over:
        return rollout, ()
    rollout = _note(rollout, happening)
    if rollout.phase == "staging":
        return _staging(rollout, now)
    return _applying(rollout, now)


def _note(rollout: Rollout, happening: Happening) -> Rollout:
    match happening:
        case Staged(host) if host in rollout.hosts:
            return msgspec.structs.replace(rollout, staged=rollout.staged | {host})
        # What was not released cannot have been applied in this rollout; after a restart of the master it can.
        case Applied(host) if host in rollout.hosts:
            return msgspec.structs.replace(rollout, staged=rollout.staged | {host}, applied=rollout.applied | {host})
        case RefusedBy(host, reason) if host in rollout.hosts and host not in rollout.applied:
            return msgspec.structs.replace(rollout, refused={**rollout.refused, host: reason})
        case _:
            return rollout


def _staging(rollout: Rollout, now: float) -> tuple[Rollout, tuple[Instruction, ...]]:
    missing = [host for host in rollout.hosts if host not in rollout.staged and host not in rollout.refused]
    if missing and now < rollout.deadline:
        return rollout, ()
    problems = {**rollout.refused, **dict.fromkeys(missing, "has not staged in time; nothing was released")}
    if problems:
        return _finish(rollout, problems)
    return _release(msgspec.structs.replace(rollout, phase="applying"), now)


def _release(rollout: Rollout, now: float) -> tuple[Rollout, tuple[Instruction, ...]]:
    """Release the next wave, or finish after the last. Nobody in a wave has to be told what it has done already."""
    if rollout.released == len(rollout.waves):
        return _finish(rollout, {})
    number = rollout.released + 1
    hosts = tuple(host for host in rollout.waves[rollout.released] if host not in rollout.applied)
    rollout = msgspec.structs.replace(rollout, released=number)
    instruction = ReleaseWave(number, hosts, last=number == len(rollout.waves))
    further, instructions = _applying(rollout, now)
    return further, (instruction, *instructions)


def _applying(rollout: Rollout, now: float) -> tuple[Rollout, tuple[Instruction, ...]]:
    waiting = [
        host
        for host in rollout.waves[rollout.released - 1]
        if host not in rollout.applied and host not in rollout.refused
    ]
    if waiting and now < rollout.deadline:
        return rollout, ()
    problems = {**rollout.refused, **dict.fromkeys(waiting, "was released and has not applied in time")}
    if problems:
        held = [host for wave in rollout.waves[rollout.released :] for host in wave]
        return _finish(rollout, {**problems, **dict.fromkeys(held, "not released, because of the others")})
    return _release(rollout, now)


def _finish(rollout: Rollout, problems: dict[str, str]) -> tuple[Rollout, tuple[Instruction, ...]]:
    outcome: Literal["converged", "failed"] = "failed" if problems else "converged"
    return msgspec.structs.replace(rollout, phase=outcome), (Finish(outcome, problems),)
