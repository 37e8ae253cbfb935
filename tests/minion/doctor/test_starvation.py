"""Whether keepalived gets the CPU in time."""

from __future__ import annotations

import time

import pytest

from lbminion.doctor import starvation
from lbminion.doctor.starvation import Ticks


def test_stolen_ticks_are_read() -> None:
    """The eighth number; guests' time is in user time already; older kernels have fewer numbers."""
    assert starvation.ticks("cpu  10 20 30 40 50 60 70 80 5 5\ncpu0 1 2\n") == Ticks(360, 80)
    assert starvation.ticks("cpu 1 2 3 4\n") == Ticks(10, 0)
    assert starvation.ticks("") == Ticks(0, 0)


@pytest.mark.pitfall("V2")
def test_stolen_time_is_found() -> None:
    """More than a twentieth while it was looked at; no time passed means nothing."""
    (found,) = starvation.judge_steal(Ticks(1000, 10), Ticks(1400, 110))
    assert "25%" in found.seen
    assert not list(starvation.judge_steal(Ticks(1000, 10), Ticks(1400, 20)))
    assert not list(starvation.judge_steal(Ticks(1000, 10), Ticks(1000, 10)))


def test_old_lines_of_a_log_are_no_news() -> None:
    """An hour; a line that says no time, or no possible one, stays."""
    now = time.mktime((2026, 11, 22, 19, 0, 0, 0, 0, -1))
    lines = [
        "Sun Nov 22 18:59:00 2026: new",
        "Sun Nov 22 17:00:00 2026: old",
        "no stamp",
        "Sun Nov 99 17:00:00 2026: odd",
        "",
    ]
    assert starvation.recent(lines, now) == [lines[0], lines[2], lines[3], lines[4]]


@pytest.mark.pitfall("V2")
def test_keepalived_that_says_it_was_late_is_found() -> None:
    """How often, and the last words."""
    late = "Sun Nov 22 19:00:00 2026: A thread timer expired 1.5 seconds ago"
    (found,) = starvation.judge_log(["Started", late, "other", late])
    assert found.seen.startswith("2 late timers")
    assert not list(starvation.judge_log(["(web) Entering MASTER STATE"]))
