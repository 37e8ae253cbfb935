"""What the faults' tables and verdicts are made of: figures, windows, the journal's invariants, and the document."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.allowance import HEALING, MACHINE, Checks, Course, Losing, Timers, windows
from tests.faults.figures import Request, Window, bursts, figures, handovers, not_allowed, overlap, under_way
from tests.faults.invariants import broken, unlike

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vagrant"))

from tests.faults import table  # what they import is found by the line above
from tests.faults.catalogue import FAULTS
from tests.faults.running import Row, said
from tests.faults.soak import drawn

TIMERS = Timers(advert=1.0, priority=192)
COURSE = Course(begun=100.0, done=101.0, undone=110.0, moved=(103.0, 112.0))
ROW = Row("some fault", 250, 40, 4.0, 3.2, 3.3, 5.0, 0.0, {"failover": 2, "minion.lost": 1}, "as expected")


def answered(begin: float, seconds: float = 0.01) -> Request:
    return Request(begin, seconds, "r1", "")


def lost(begin: float) -> Request:
    return Request(begin, 3.0, "", "timeout")


def test_figures_tell_what_the_client_saw() -> None:
    """The longest time without an answer, and until one was answered after the last that was lost."""
    seen = [answered(1.0), answered(2.0), lost(3.0), lost(4.0), answered(6.0), answered(7.0), answered(11.0)]
    told = figures(seen, begin=0.5, end=8.0, since=2.5)
    assert (told.sent, told.lost) == (6, 2)
    assert told.gap == pytest.approx(4.0)
    assert told.back == pytest.approx(3.51)
    assert figures([], 0.0, 5.0, 0.0).gap == 5.0


def test_a_loss_outside_of_every_window_is_found() -> None:
    """And nothing that began in one."""
    assert not_allowed([lost(1.0), answered(5.0)], [Window(0.0, 2.0)]) == []
    assert not_allowed([lost(1.0), lost(5.0)], [Window(0.0, 2.0)]) == [lost(5.0)]
    assert not_allowed([lost(1.0)], []) == [lost(1.0)]


def test_what_was_on_its_way_when_a_window_began_may_be_lost_in_it() -> None:
    """The machine stood still: nobody who asked later had an answer by then. When somebody had, it is a loss of its own."""
    window = Window(10.0, 12.0)
    late = [answered(9.3), lost(9.5), lost(9.6), answered(9.7, seconds=0.5)]
    assert not_allowed(late, [window]) == []
    assert not_allowed([*late, answered(9.55)], [window]) == [lost(9.5)]
    assert not_allowed([lost(8.9)], [window]) == [lost(8.9)]


def test_what_one_real_server_lost_that_stood_still_when_the_window_began_counts_as_begun_in_it() -> None:
    """The other one went on; one that had answered later ones is no excuse."""
    window, first, second = Window(9.0, 10.0), Request(8.0, 0.1, "r1", ""), Request(8.1, 0.1, "r2", "")
    other = Request(8.7, 0.1, "r2", "")
    assert not_allowed([first, second, lost(8.5), other], [window]) == []
    assert not_allowed([first, second, lost(8.5), other, Request(8.8, 0.1, "r1", "")], [window]) == [lost(8.5)]


def test_a_vip_that_leaves_one_director_and_comes_to_the_other_moves_once() -> None:
    assert handovers([20.1, 10.0, 10.2, 20.0]) == [[10.0, 10.2], [20.0, 20.1]]


def test_losses_are_told_by_bursts_with_the_window_that_was_missed() -> None:
    """One line for each, so that a reader sees how far from which fault it was."""
    seen = [lost(100.0), lost(100.9), lost(1.0), lost(101.8)]
    assert bursts(seen) == [(1.0, 1.0, 1), (100.0, 101.8, 3)]
    first, second = said(seen, [Window(2.0, 3.0), Window(90.0, 99.0, 0.5)])
    assert "every window: 1, begun 1.00" in first
    assert "2.00 to 3.00, for 100%" in first
    assert "90.00 to 99.00, for 50%" in second
    assert said([], []) == []


def test_a_share_of_a_window_is_no_more_than_that() -> None:
    """One of two real servers is dead: half may be lost, and one for where in the turn it began."""
    turns = [lost(n) if n % 2 else answered(n) for n in range(10)]
    half = [Window(0.0, 10.0, 0.5)]
    assert not_allowed(turns, half) == []
    assert not_allowed([*turns, lost(9.5), lost(9.6), lost(9.7)], half) == [lost(9.7)]
    assert not_allowed([*turns, lost(9.5), lost(9.6), lost(9.7)], [*half, Window(9.4, 9.8)]) == []


def test_windows_come_from_vrrps_own_timers() -> None:
    """Three advertisements and the skew for a director that says nothing, the skew alone for one that says that it leaves."""
    assert windows(Losing.NOTHING, TIMERS, None, COURSE, 2) == []
    silent, *moves = windows(Losing.FAILOVER, TIMERS, None, COURSE, 2)
    assert silent.end == 101.0 + 3.25 + MACHINE
    assert [move.has(moment) for move, moment in zip(moves, COURSE.moved, strict=True)] == [True, True]
    assert windows(Losing.HANDOVER, TIMERS, None, COURSE, 2)[0].end == 101.0 + 0.25 + MACHINE


def test_during_a_split_brain_only_what_is_on_its_way_may_be_lost() -> None:
    """Beside the failover itself, and the end: both announce the VIP again and again, and who is left at last."""
    begin, *moves, split = windows(Losing.SPLIT, TIMERS, None, COURSE, 2)
    usual, *usual_moves = windows(Losing.FAILOVER, TIMERS, None, COURSE, 2)
    assert begin == usual
    assert [move.begin for move in moves] == [move.begin for move in usual_moves]
    assert [move.end for move in moves] == [move.end + HEALING for move in usual_moves]
    assert (split.begin, split.end) == (COURSE.done, COURSE.undone + MACHINE)
    assert split.share < 0.05


def test_a_request_is_caught_by_a_move_if_it_was_under_way_then() -> None:
    assert under_way(Request(9.5, 0.6, "", "reset"), [10.0], 0.3)
    assert under_way(Request(10.2, 0.1, "", "reset"), [10.0], 0.3)
    assert not under_way(Request(9.5, 0.4, "", "reset"), [10.0], 0.3)
    assert not under_way(Request(10.4, 0.1, "", "reset"), [5.0, 10.0], 0.3)
    assert not under_way(Request(8.0, 3.0, "", "timeout"), [10.0], 0.3)


def test_a_dead_real_server_costs_its_share_until_checks_take_it_out() -> None:
    """Interval x fall + timeout; without checks until it is back."""
    (without,) = windows(Losing.SHARE, TIMERS, None, COURSE, 4)
    (watched,) = windows(Losing.SHARE, TIMERS, Checks(interval=1, timeout=1, fall=3), COURSE, 4)
    assert (without.end, without.share) == (110.0 + MACHINE, 0.25)
    assert watched.end == 105.0 + MACHINE


def test_the_time_of_two_vips_is_what_two_kernels_saw() -> None:
    """Only where both had it."""
    assert overlap([Window(0, 5), Window(8, 9)], [Window(4, 8.5)]) == 1.5


def event(cursor: int, minion: str, boot: int, sequence: int, event_type: str = "x", **data: Any) -> dict[str, Any]:
    return {"cursor": cursor, "minion": minion, "boot": boot, "sequence": sequence, "type": event_type, "data": data}


def test_a_journal_without_a_hole_is_whole() -> None:
    """Several minions and boots, in between each other."""
    pushes = [event(4, "", 1, 1, "push.started", generation=1), event(5, "", 1, 2, "push.started", generation=2)]
    assert broken([event(1, "a", 7, 1), event(2, "b", 3, 1), event(3, "a", 7, 2), *pushes, event(6, "a", 9, 1)]) == []


@pytest.mark.parametrize(
    ("events", "wrong"),
    [
        ([event(1, "a", 7, 1), event(2, "a", 7, 3)], r"a: event \(7, 3\) follows \(7, 1\)"),
        ([event(1, "a", 7, 2)], r"a: event \(7, 2\) follows \(0, 0\)"),
        ([event(1, "a", 7, 1), event(2, "a", 7, 1)], r"follows \(7, 1\)"),
        ([event(1, "a", 7, 1), event(2, "a", 6, 1)], r"\(6, 1\) follows \(7, 1\)"),
        ([event(2, "a", 7, 1), event(2, "a", 7, 2)], "cursors are not in order"),
        ([event(n, "", 1, n, "push.started", generation=4) for n in (1, 2)], r"not once each and growing: \[4, 4\]"),
    ],
)
def test_what_was_lost_came_twice_or_was_used_twice_is_found(events: list[dict[str, Any]], wrong: str) -> None:
    """Each kind of damage has its sentence."""
    assert [line for line in broken(events) if re.search(wrong, line)]


def test_a_subscriber_that_got_something_else_is_found() -> None:
    """What it has not got yet is no difference."""
    first, second = event(1, "a", 7, 1), event(2, "a", 7, 2)
    assert unlike([first, second], [first]) == []
    assert unlike([first, second], [first, event(2, "b", 1, 1)])


def test_a_seed_draws_the_same_turns_again() -> None:
    """With as many faults as were asked for."""
    turns = drawn(7, 20, 5, FAULTS)
    assert turns == drawn(7, 20, 5, FAULTS)
    assert len(turns) == 20
    assert sum(turn.fault is not None for turn in turns) == 5
    assert turns != drawn(random.Random(7).randrange(100) + 8, 20, 5, FAULTS)


def test_the_table_survives_json() -> None:
    """And a file that is none is refused with what is missing."""
    assert table.from_json(table.as_json([ROW])) == {"some fault": ROW}
    for bad in ("{}", '{"rows": [{"name": "x"}]}', "[]", "nonsense"):
        with pytest.raises(ValueError, match=r"not the table|Expecting value"):
            table.from_json(bad)
