"""What a client saw of a fault: requests, the time windows in which some may be lost, and figures of both. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

REQUEST_SECONDS: Final = 3.0
"""After this long a request without an answer is lost (`load_client.TIMEOUT_SECONDS`)."""


STALL_SECONDS: Final = 1.0
"""For how long a machine with two processors may stand still for its guests; what is asked then is on its way meanwhile."""


BURST_SECONDS: Final = 1.0
"""Between two lost requests of which a reader would say that one thing had lost them."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it began (Unix time), how long it took, which real server answered ("": lost), and the error."""

    begin: float
    seconds: float
    server: str
    error: str

    @property
    def end(self) -> float:
        return self.begin + self.seconds


@dataclass(frozen=True, slots=True)
class Window:
    """A span of Unix time; `share` is the part of the requests begun in it that may be lost."""

    begin: float
    end: float
    share: float = 1.0

    def has(self, time: float) -> bool:
        return self.begin <= time <= self.end


@dataclass(frozen=True, slots=True)
class Figures:
    """`sent` and `lost` requests, the longest time without an answer, and how long after `since` the last one was lost.

    `back` is 0 when none was lost: from the fault until a request was answered after the last that was not.
    """

    sent: int
    lost: int
    gap: float
    back: float


def figures(requests: Iterable[Request], begin: float, end: float, since: float) -> Figures:
    """Sum up the requests that began between `begin` and `end`; `since` is the moment of the fault."""
    seen = sorted((request for request in requests if begin <= request.begin < end), key=lambda one: one.begin)
    lost = [request for request in seen if not request.server]
    answered = sorted(request.end for request in seen if request.server)
    pauses = [later - earlier for earlier, later in zip([begin, *answered], [*answered, end], strict=True)]
    back = 0.0
    if lost:
        again = [request.end for request in seen if request.server and request.begin > lost[-1].begin]
        back = (min(again) if again else end) - since
    return Figures(len(seen), len(lost), max(pauses), back)


def bursts(requests: Iterable[Request]) -> list[tuple[float, float, int]]:
    """Gather requests that began soon after each other: when the first and the last of them began, and how many."""
    found: list[tuple[float, float, int]] = []
    for begin in sorted(request.begin for request in requests):
        if found and begin - found[-1][1] < BURST_SECONDS:
            found[-1] = (found[-1][0], begin, found[-1][2] + 1)
        else:
            found.append((begin, begin, 1))
    return found


def not_allowed(requests: Iterable[Request], windows: Sequence[Window]) -> list[Request]:
    """Return the lost requests that began outside of every window, and those beyond a window's share.

    One that began before a window and was still on its way when that began counts as begun in it.
    """
    seen = list(requests)
    lost = [request for request in seen if not request.server]
    wrong = [
        request
        for request in lost
        if not any(window.has(request.begin) or _on_its_way(request, seen, window) for window in windows)
    ]
    whole = [window for window in windows if window.share >= 1]
    for window in windows:
        inside = [request for request in seen if window.has(request.begin)]
        counted = [
            request for request in inside if not request.server and not any(other.has(request.begin) for other in whole)
        ]
        # One more, for where in the turn the real server stood when the window began.
        most = int(window.share * len(inside)) + 1
        if window.share < 1:
            wrong += counted[most:]
    return wrong


def handovers(moments: Iterable[float]) -> list[list[float]]:
    """Gather when a VIP left one director and came to the other: soon after each other that is one move."""
    found: list[list[float]] = []
    for moment in sorted(moments):
        if found and moment - found[-1][-1] < BURST_SECONDS:
            found[-1].append(moment)
        else:
            found.append([moment])
    return found


def under_way(request: Request, moments: Iterable[float], late: float) -> bool:
    """Whether a request had begun, and not ended, at one of these moments, or began up to `late` seconds after one."""
    return any(moment - STALL_SECONDS <= request.begin <= moment + late and request.end >= moment for moment in moments)


def _on_its_way(lost: Request, requests: Iterable[Request], window: Window) -> bool:
    """Whether a real server had answered nobody who asked later when the window began: it stood still, or all did."""
    if not 0 < window.begin - lost.begin <= STALL_SECONDS:
        return False
    answered = [one for one in requests if one.server]
    later = {one.server for one in answered if one.begin > lost.begin and one.end <= window.begin}
    return not later or later < {one.server for one in answered}


def overlap(first: Sequence[Window], second: Sequence[Window]) -> float:
    """Return for how many seconds in all a window of both was open."""
    return sum(max(0.0, min(one.end, other.end) - max(one.begin, other.begin)) for one in first for other in second)
