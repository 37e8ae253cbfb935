"""How a fault is run: done and undone under load, everything that has to hold looked at, and a row made of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.faults import allowance
from tests.faults.fault import Course, Fault, Told
from tests.faults.field import Field
from tests.faults.figures import REQUEST_SECONDS, Request, Window, bursts, figures, handovers, not_allowed, under_way

from story.hosts import Unexpected


@dataclass(frozen=True)
class Row:
    """A line of the table; times in seconds. `back`: until the client was answered again, `whole`: after the undoing.

    `both`: how long two directors had the VIP. `events`: what a subscriber heard, type -> count.
    """

    name: str
    sent: int
    lost: int
    window: float
    gap: float
    back: float
    whole: float
    both: float
    events: dict[str, int]
    remark: str

    def plain(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return asdict(self)


def run(field: Field, fault: Fault) -> Row:
    """Run it; raises `Unexpected` with everything that did not hold. The field is whole when this returns."""
    field.settle()
    cursor, begun = field.subscriber.cursor, time.time()
    fault.do(field)
    done = time.time()
    try:
        _hear(field, fault.meanwhile, cursor, fault.within)
        fault.during(field)
        time.sleep(max(0.0, fault.lasts - (time.time() - done)))  # load that nothing else tells the end of
    finally:
        undoing = time.time()
        fault.undo(field)
    undone = time.time()
    course = Course(cursor, begun, done, undone)
    _hear(field, fault.after, cursor, fault.within)
    whole = field.settle()
    end = time.time()
    # One that began so much later has been answered: whatever began before the end was answered by now, or is lost.
    field.load.past(end + REQUEST_SECONDS)
    return _row(field, fault, course, whole - undoing, end)


def _hear(field: Field, all_told: Iterable[Told], cursor: int, within: float) -> None:
    for one in all_told:
        field.heard(one.type, one.minion, since=cursor, within=within, **one.data)


def said(requests: Sequence[Request], windows: Sequence[Window]) -> list[str]:
    """Say which requests were lost that should not have been; nothing for none."""
    return [
        f"requests lost outside of every window: {count}, begun {first:.2f} to {last:.2f}{_nearest(first, windows)}"
        for first, last, count in bursts(requests)
    ]


def _nearest(moment: float, windows: Sequence[Window]) -> str:
    if not windows:
        return ""
    window = min(windows, key=lambda one: min(abs(one.begin - moment), abs(one.end - moment)))
    return f"; the nearest window is {window.begin:.2f} to {window.end:.2f}, for {window.share:.0%} of them"


def _row(field: Field, fault: Fault, course: Course, whole: float, end: float) -> Row:
    """Look at everything that has to hold; raises `Unexpected` with all that does not."""
    requests = field.load.all_of(course.begun, end)
    moves = field.moves(course.begun)
    windows = allowance.windows(
        fault.losing, field.timers, field.checks, allowance.Course(course.begun, course.done, course.undone, moves),
        len(field.cast.real_servers),
    )  # fmt: skip
    events = field.subscriber.since(course.cursor)
    both = field.both(course.begun)
    unexpected = not_allowed(requests, windows)
    for moment in handovers(moves) if fault.in_flight else ():
        caught = [one for one in unexpected if under_way(one, moment, allowance.EARLY)]
        if len(caught) <= fault.in_flight:
            unexpected = [one for one in unexpected if one not in caught]
    wrong = said(unexpected, windows)
    wrong += [f"told though it must not be: {event}" for event in events if event["type"] in fault.never]
    wrong += field.broken()
    if both > fault.both:
        wrong.append(f"two directors had the VIP for {both:.2f} s, not just {fault.both:.0f} s; it moved at {moves}")
    remark = fault.look(field, course)
    if wrong:
        raise Unexpected(f"{fault.name}: " + "\n".join(wrong))
    seen = figures(requests, course.begun, end, course.begun)
    return Row(
        name=fault.name,
        sent=seen.sent,
        lost=seen.lost,
        window=round(windows[0].end - course.begun, 2) if windows else 0.0,
        gap=round(seen.gap, 2),
        back=round(seen.back, 2),
        whole=round(whole, 2),
        both=round(both, 2),
        events=dict(Counter(event["type"] for event in events)),
        remark=remark,
    )
