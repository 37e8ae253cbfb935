"""Which requests a fault may cost: the windows that VRRP's own timers give. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.faults.figures import Window

MACHINE: Final = 1.0
"""Seconds that a busy machine may add to a timer: five guests share two processors, stalls of 0.3 to 0.9 s are usual."""
ON_ITS_WAY: Final = 0.02
"""The part of the requests that is on its way when a VIP's address leads to another director for a moment."""
HEALING: Final = 0.5
"""Seconds, after a director has yielded, until the master had the other one announce the VIP: an event, and a message."""
EARLY: Final = 0.3
"""Seconds before a VIP moves in which a request may begin that the move cuts off."""


class Losing(Enum):
    """What may be lost."""

    NOTHING = "nothing"
    HANDOVER = "what is asked until a director that says that it leaves is replaced"
    FAILOVER = "what is asked until a director that says nothing is replaced"
    SPLIT = "the same; and what is on its way when one of two MASTERs announces the VIP again"
    SHARE = "a real server's share, until it is out of the pool or back"


@dataclass(frozen=True, slots=True)
class Timers:
    """VRRP's timers, in seconds: `advert` between two advertisements, and the priority of who takes over."""

    advert: float
    priority: int

    @property
    def skew(self) -> float:
        """How long the next director waits when the MASTER said that it leaves."""
        return (256 - self.priority) / 256 * self.advert

    @property
    def dead(self) -> float:
        """How long it waits when the MASTER says nothing any more."""
        return 3 * self.advert + self.skew


@dataclass(frozen=True, slots=True)
class Checks:
    """Health checks of a real server, in seconds: one that fails `fall` times is taken out."""

    interval: float
    timeout: float
    fall: int

    @property
    def detection(self) -> float:
        return self.interval * self.fall + self.timeout


@dataclass(frozen=True, slots=True)
class Course:
    """How a fault went, in Unix time: it was begun between `begun` and `done`, undone by `undone`, and VIPs `moved`."""

    begun: float
    done: float
    undone: float
    moved: Sequence[float]


def windows(losing: Losing, timers: Timers, checks: Checks | None, course: Course, servers: int) -> list[Window]:
    """Return when requests may be lost; `servers` is the number of real servers that share them."""
    begin = course.begun - EARLY
    if losing is Losing.NOTHING:
        return []
    if losing is Losing.SHARE:
        end = course.undone if checks is None else min(course.undone, course.done + checks.detection)
        return [Window(begin, end + MACHINE, 1 / servers)]
    waited = timers.skew if losing is Losing.HANDOVER else timers.dead
    told = HEALING if losing is Losing.SPLIT else 0.0
    moves = [Window(moment - EARLY, moment + told + MACHINE) for moment in course.moved]
    found = [Window(begin, course.done + waited + MACHINE), *moves]
    if losing is Losing.SPLIT:
        # Each of them repeats its announcement once a minute: clients turn to it, and back.
        found.append(Window(course.done, course.undone + MACHINE, ON_ITS_WAY))
    return found
