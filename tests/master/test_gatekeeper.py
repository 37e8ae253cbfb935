"""What a gate decides from what directors tell, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from lbmaster import gates
from lbmaster.gatekeeper import Gatekeeper
from lbmaster.topology import topology
from lbmaster.view import View
from lbmaster.waves import Wave
from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import RoleState
from lbwire.messages import Figures, Holding, Role, Sample

from .conftest import WEB

CHECKED = WEB + "    check: {tcp: {}, interval: 0.2, timeout: 0.1, fall: 1}\n"
TO_R2 = "tcp 10.0.0.100:80 -> 10.0.0.12:80"


WATCHED_SECONDS = 22.1
"""A whole round of the check of `seen`, and two seconds; a takeover takes 4.5 s there."""


def states(text: str) -> dict[str, RoleState]:
    return dict(compile_cluster(parse(text, "web")).items())


def tells(view: View, host: str, role: str = "BACKUP", *, active: int = 0, full: bool = True) -> None:
    """A director says that it has generation 2, its role, and its connections to r2; `full`: and all of its table."""
    view.hear(host, 0.0, 1.0)
    figures = (Figures(TO_R2, *([0] * 10), active=active),)
    roles = {"www": Role(role, 100, ())}
    view.sampled(host, Sample(0.0, {"web": Holding(2, 2, 9)}, roles, 0, destinations=figures, full=full), 0.0)


def seen(view: View, text: str = CHECKED.replace("interval: 0.2", "interval: 20"), **more: Any) -> Gatekeeper:
    """d1 was MASTER before the push, and is, until it tells otherwise; d2 has the new state, with another check."""
    tells(view, "d1", "MASTER")
    tells(view, "d2")
    new, before = states(text), gates.Sight(masters={"www": ("d1",)})
    old = states(text.replace("fall: 1", "fall: 2"))
    return Gatekeeper("web", 2, view, topology(new), before, old, new, 0.5, **more)


def look(gatekeeper: Gatekeeper, elapsed: float) -> gates.Judgement:
    return gatekeeper.judge(Wave("standby director d2", ("d2",)), {"d2"}, {"d2"}, elapsed)


@pytest.mark.parametrize("handover", [("BACKUP", "BACKUP"), ("MASTER", "MASTER")])
def test_a_handover_late_in_a_long_watch_has_its_time(handover: tuple[str, str]) -> None:
    """From when it began: nobody, or both, are MASTER for a moment. The gate does not pass meanwhile, also at its end."""
    view = View()
    gatekeeper = seen(view)
    assert look(gatekeeper, 1.0).waiting
    for elapsed in (12.0, WATCHED_SECONDS - 1, WATCHED_SECONDS + 3):
        for host, role in zip(("d1", "d2"), handover, strict=True):
            tells(view, host, role)
        judged = look(gatekeeper, elapsed)
        assert judged.problems == ()
        assert "MASTER" in judged.waiting[0]
        tells(view, "d1", "BACKUP")
        tells(view, "d2", "MASTER")
        assert bool(look(gatekeeper, elapsed + 0.1).waiting) == (elapsed < WATCHED_SECONDS)


@pytest.mark.parametrize("began", [0.0, 12.0])
def test_a_vip_that_gets_no_master_fails_when_a_takeover_had_its_time(began: float) -> None:
    """Whenever it lost it; in between there may be nobody and then two, which is no break."""
    view = View()
    gatekeeper = seen(view)
    if began:
        assert look(gatekeeper, began - 0.1).problems == ()
    tells(view, "d1", "FAULT")
    assert look(gatekeeper, began).problems == ()
    tells(view, "d1", "MASTER")
    tells(view, "d2", "MASTER")
    assert look(gatekeeper, began + 4.4).problems == ()
    tells(view, "d1", "FAULT")
    tells(view, "d2", "FAULT")
    assert look(gatekeeper, began + 4.6).problems == ("www: nobody is MASTER (d1 was)",)


def test_a_vip_that_comes_and_goes_fails_although_it_never_stays_away_for_long() -> None:
    """A takeover comes to an end; what a track script does to a VIP every other second does not."""
    view = View()
    gatekeeper = seen(view)
    for second in range(int(WATCHED_SECONDS) + 1):
        tells(view, "d1", "BACKUP" if second % 4 else "MASTER")
        if look(gatekeeper, float(second)).problems:
            break
    assert 2 * 4.5 <= second < WATCHED_SECONDS


def test_another_waves_trouble_is_not_this_ones() -> None:
    """Its clock begins again."""
    view = View()
    gatekeeper = seen(view)
    tells(view, "d1", "BACKUP")
    assert [bool(look(gatekeeper, at).problems) for at in (0.0, 4.0)] == [False, False]
    assert [bool(look(gatekeeper, at).problems) for at in (0.0, 4.0, 4.6)] == [False, False, True]


def test_a_vip_that_was_moved_first_may_move_late_in_a_long_watch() -> None:
    """It has the time of two elections to be back where it shall be."""
    view = View()
    gatekeeper = seen(view, moves={"www": "d2"})
    tells(view, "d1", "BACKUP")
    tells(view, "d2", "MASTER")
    assert look(gatekeeper, 1.0).problems == ()
    tells(view, "d1", "MASTER")
    tells(view, "d2", "BACKUP")
    assert look(gatekeeper, 12.0).problems == ()
    assert look(gatekeeper, 21.1).problems == ("www: it shall be held by d2 first, and is by d1",)


def test_a_director_that_is_away_has_not_told_that_a_drain_is_over() -> None:
    """It may be the one that has all the connections. One that may be away is not waited for, and counted while it is there."""
    final = states(CHECKED.replace("  r2: 10.0.0.12\n", ""))
    view = View()
    gatekeeper = seen(view)
    tells(view, "d1", "MASTER", active=3)
    assert gatekeeper.left(final) == 3
    view.minions["d1"].online = False
    assert gatekeeper.left(final) is None
    tells(view, "d1", "MASTER")
    assert gatekeeper.left(final) == 0
    spared = seen(view, spared={"d1"})
    tells(view, "d1", "MASTER", active=3)
    assert spared.left(final) == 3
    view.minions["d1"].online = False
    assert spared.left(final) == 0


def test_a_director_that_has_not_read_its_table_has_not_told_that_a_drain_is_over() -> None:
    """Its minion and the master have both just restarted: there is nothing from before that would stand."""
    final = states(CHECKED.replace("  r2: 10.0.0.12\n", ""))
    view = View()
    gatekeeper = seen(view)
    view.forget("d1")
    tells(view, "d1", "MASTER", full=False)
    assert gatekeeper.left(final) is None
    tells(view, "d1", "MASTER", active=3)
    assert gatekeeper.left(final) == 3
