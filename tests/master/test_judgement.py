"""What a gate asks for, by numbers: how long it looks, and what it counts."""

from __future__ import annotations

import pytest

from lbmaster.gates import Judgement, Patience, Sight, judge, patience
from lbmaster.waves import Wave
from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.checks import Check, TcpCheck
from lbstates.desired import DirectorState, Host, RoleState
from lbwire.messages import Health

PATIENCE = Patience(takeover=4.0, least=0.0, most=6.0)
HELD = Sight({"web": ("d1",)}, {"d1": Health(), "d2": Health()})


def states(check: Check | None) -> dict[str, RoleState]:
    service = VirtualService("tcp", "10.0.0.100", 80, "wlc", (ServiceDestination("10.0.0.11", 80, 1),), check=check)
    return {"director": DirectorState("web", {"d1": Host("10.0.0.1")}, (), (service,))}


@pytest.mark.parametrize(
    ("masters", "elapsed", "expected"),
    [
        (("d1",), 0.0, Judgement()),
        (("d2",), 0.0, Judgement()),
        ((), 3.9, Judgement(waiting=("web: nobody is MASTER (d1 was)",))),
        ((), 4.0, Judgement(problems=("web: nobody is MASTER (d1 was)",))),
        (("d1", "d2"), 3.9, Judgement(waiting=("web: d1 and d2 are MASTER at once",))),
        (("d1", "d2"), 4.0, Judgement(problems=("web: d1 and d2 are MASTER at once",))),
    ],
)
def test_a_vip_has_one_master_within_the_time_of_a_takeover(
    masters: tuple[str, ...], elapsed: float, expected: Judgement
) -> None:
    """It may be another one than before."""
    assert judge(HELD, Sight({"web": masters}), (), (), elapsed, PATIENCE) == expected


def test_a_vip_that_nobody_held_before_stops_nothing() -> None:
    """A first push has no MASTER yet; two are too many all the same."""
    before = Sight({})
    assert judge(before, Sight({"web": ()}), (), (), 60.0, PATIENCE) == Judgement()
    assert judge(before, Sight({"web": ("d1", "d2")}), (), (), 60.0, PATIENCE).problems


def test_two_masters_from_before_the_push_do_not_stop_it() -> None:
    """It may be the remedy; another one that joins them is new."""
    both = Sight({"web": ("d1", "d2")})
    assert judge(both, both, (), (), 60.0, PATIENCE) == Judgement()
    assert judge(both, Sight({"web": ("d1",)}), (), (), 60.0, PATIENCE) == Judgement()
    assert judge(both, Sight({"web": ("d1", "d3")}), (), (), 60.0, PATIENCE).problems


def test_only_directors_that_have_the_new_state_are_asked() -> None:
    """What the others see is not of this rollout's doing; and what was seen before by anybody is not new."""
    failing = Health(failing={"x": "refused"})
    now = Sight({}, {"d1": failing, "d2": Health()})
    assert judge(HELD, now, ("d2",), (), 0.0, PATIENCE) == Judgement()
    assert judge(HELD, now, ("d1",), (), 0.0, PATIENCE).problems == ("d1: fails its check: x (refused)",)
    known = Sight({}, {"d2": failing})
    assert judge(known, now, ("d1",), (), 0.0, PATIENCE) == Judgement()


def test_what_a_director_said_before_it_applied_is_not_held_against_the_new_state() -> None:
    """The service that fails may have been removed just now: a sample from afterwards is waited for."""
    ill = Health(failing={"x": "refused"}, frozen=("tcp x",), sorry=("tcp x",), unproven=("y",))
    now = Sight({}, {"d1": ill, "d2": Health()})
    judged = judge(HELD, now, ("d1",), ("d1",), 0.5, PATIENCE)
    assert judged == Judgement(waiting=("no sample of d1 since it applied",))
    assert judge(HELD, now, ("d1",), (), 0.5, PATIENCE).problems


def test_a_long_list_is_cut() -> None:
    """A gate that names a thousand destinations helps nobody."""
    failing = Health(failing={f"x{number}": "no" for number in range(9)})
    (said,) = judge(HELD, Sight({}, {"d1": failing}), ("d1",), (), 0.0, PATIENCE).problems
    assert said.endswith("and 4 more")


def test_what_cannot_be_told_is_waited_for_within_bounds() -> None:
    """A sample since it applied, and a verdict on each new destination."""
    now = Sight({}, {"d1": Health(unproven=("x", "y"))})
    known = Sight({}, {"d1": Health(unproven=("y",))})
    assert judge(known, now, ("d1",), (), 5.9, PATIENCE).waiting == ("d1: no verdict yet on x",)
    assert judge(known, now, ("d1",), (), 6.0, PATIENCE).problems == ("d1: no verdict yet on x",)
    assert judge(HELD, HELD, ("d1",), ("d1",), 4.9, PATIENCE).waiting == ("no sample of d1 since it applied",)
    assert judge(HELD, HELD, ("d1",), ("d1",), 5.0, PATIENCE).problems == ("no sample of d1 since it applied",)


@pytest.mark.parametrize(
    ("old", "new", "canary", "least", "most"),
    [
        (None, None, False, 0.0, 0.0),
        (TcpCheck(), TcpCheck(), False, 0.0, 9.0),
        (TcpCheck(), TcpCheck(fall=5), False, 13.0, 13.0),
        (None, TcpCheck(), False, 9.0, 9.0),
        (TcpCheck(), None, False, 0.0, 0.0),
        (TcpCheck(), TcpCheck(), True, 9.0, 9.0),
    ],
)
def test_a_changed_check_is_watched_for_a_whole_round(
    old: Check | None, new: Check | None, canary: bool, least: float, most: float
) -> None:
    """And so is a canary; without checks nothing is."""
    wave = Wave("x", ("r1",) if canary else ("d1",), canary)
    found = patience(states(old), states(new), wave, 1.5, canary=canary)
    assert (found.least, found.most) == (least, most)


def test_a_wave_without_directors_is_not_watched() -> None:
    """Real servers get what no director uses yet."""
    found = patience(states(TcpCheck()), states(TcpCheck(fall=5)), Wave("x", ("r1",)), 1.5, canary=False)
    assert (found.least, found.most) == (0.0, 0.0)
