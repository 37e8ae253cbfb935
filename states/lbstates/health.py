"""What the probes of one real server in one service say about it: a state machine, and what happened in it as data.

Which weight follows from that is for `pools`; probing, remembering and telling are the minion's. All times are seconds of
one clock that never goes back while a host is up. A time that lies ahead comes from before a reboot, and counts as long ago.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from .checks import Check

State: TypeAlias = Literal["unproven", "up", "down"]

FLAP_WINDOW: Final = 600.0
"""Seconds for which a fall is held against a destination, or so many intervals of its check as make thirty probes."""
_WINDOW_PROBES: Final = 30
_MOST_FACTOR: Final = 16
"""Flapping multiplies the probes that have to pass by this at most: 64 s with the defaults."""
_MOST_FALLS: Final = 10
"""So many falls are remembered."""
_LONGEST_REASON: Final = 1000


class Outcome(msgspec.Struct, frozen=True):
    """What one probe found; `reason` says what it met, in a line."""

    passed: bool
    reason: str = ""


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a destination stands. The default is one that was never probed.

    It is `unproven` until one probe has passed, or as many in a row have failed as take out one that is in.
    `since`: when the state began. `reason`: what the last failed probe met. `against`: how many probes in a row speak
    against the state, `first` of them at. `falls`: when it was taken out lately. `recovered`: when it came (back) in (None:
    it was never out here, so there is nothing to start slowly). `established`: it has been in the pool rightfully.
    `proven`: it has passed the check that it has now.
    """

    state: State = "unproven"
    since: float = 0.0
    reason: Annotated[str, Meta(max_length=_LONGEST_REASON)] = ""
    against: int = 0
    first: float | None = None
    falls: tuple[float, ...] = ()
    recovered: float | None = None
    established: bool = False
    proven: bool = False


UNPROVEN: Final = Verdict()


class Changed(msgspec.Struct, frozen=True):
    """A destination goes up or down; `seconds` since the first probe that said so, `reason`: what the last one met."""

    state: Literal["up", "down"]
    reason: str
    seconds: float


class Flapped(msgspec.Struct, frozen=True):
    """It went down `times` times in `seconds`; `rise` probes have to pass now before it comes in again."""

    times: int
    seconds: float
    rise: int


Happening: TypeAlias = Changed | Flapped


class Judged(msgspec.Struct, frozen=True):
    """The verdict after a probe, and what happened by it."""

    verdict: Verdict
    happenings: tuple[Happening, ...] = ()


def adopted(now: float) -> Verdict:
    """Return the verdict on a destination that the kernel has with a weight: it is in until probes say otherwise."""
    return Verdict("up", now, established=True)


def renewed(verdict: Verdict) -> Verdict:
    """Return the verdict on a destination whose check was changed: it stands, but the check has to prove itself anew."""
    return msgspec.structs.replace(verdict, against=0, first=None, proven=False)


def judge(verdict: Verdict, check: Check, outcome: Outcome, now: float) -> Judged:
    """Take one probe into account. A probe of which nothing follows, as nearly all, gives the very same verdict."""
    if outcome.passed and verdict.state == "up" and verdict.proven and not verdict.against:
        return Judged(verdict)
    if outcome.passed:
        verdict = msgspec.structs.replace(verdict, proven=True)
    else:
        verdict = msgspec.structs.replace(verdict, reason=outcome.reason[:_LONGEST_REASON])
    if verdict.state != "unproven" and (verdict.state == "up") == outcome.passed:
        return Judged(msgspec.structs.replace(verdict, against=0, first=None))
    verdict = msgspec.structs.replace(
        verdict, against=verdict.against + 1, first=now if verdict.first is None else verdict.first
    )
    if verdict.against < _needed(verdict, check, outcome, now):
        return Judged(verdict)
    return _up(verdict, outcome, now) if outcome.passed else _down(verdict, check, outcome, now)


def rises_needed(verdict: Verdict, check: Check, now: float) -> int:
    """Return how many probes in a row bring it in again: `rise`, doubled by every fall in the window but the first."""
    falls = len(_recent(verdict.falls, check, now))
    return int(check.rise * min(2 ** max(falls - 1, 0), _MOST_FACTOR))


def _needed(verdict: Verdict, check: Check, outcome: Outcome, now: float) -> int:
    if not outcome.passed:
        return check.fall
    # A new one is let in by its first probe that passes: nobody has seen it fail.
    return 1 if verdict.state == "unproven" else rises_needed(verdict, check, now)


def _up(verdict: Verdict, outcome: Outcome, now: float) -> Judged:
    changed = Changed("up", outcome.reason, _span(verdict, now))
    after = msgspec.structs.replace(
        verdict, state="up", since=now, against=0, first=None, recovered=now, established=True
    )
    return Judged(after, (changed,))


def _down(verdict: Verdict, check: Check, outcome: Outcome, now: float) -> Judged:
    happenings: list[Happening] = [Changed("down", outcome.reason, _span(verdict, now))]
    # One that never passed has not fallen: it was never in.
    falls = (*_recent(verdict.falls, check, now), now)[-_MOST_FALLS:] if verdict.state == "up" else ()
    after = msgspec.structs.replace(
        verdict, state="down", since=now, against=0, first=None, falls=falls, recovered=None
    )
    if len(falls) > 1:
        happenings.append(Flapped(len(falls), now - falls[0], rises_needed(after, check, now)))
    return Judged(after, tuple(happenings))


def _span(verdict: Verdict, now: float) -> float:
    return 0.0 if verdict.first is None else max(0.0, now - verdict.first)


def _recent(falls: tuple[float, ...], check: Check, now: float) -> tuple[float, ...]:
    window = max(FLAP_WINDOW, check.interval * _WINDOW_PROBES)
    return tuple(fall for fall in falls if 0 <= now - fall <= window)
