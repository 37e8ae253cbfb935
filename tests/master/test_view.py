"""What is believed and for how long, split brains, the reactor's table, and what a host is owed: all pure."""

from __future__ import annotations

from math import inf

import pytest

from lbmaster.catch_up import owed
from lbmaster.comparisons import Move, merged
from lbmaster.config import DEFAULT_REACTIONS, Reaction
from lbmaster.intake import admit
from lbmaster.reactor import MOST, Brake, Due, Pace, ReconcileCluster, left_alone, react
from lbmaster.splits import Splits
from lbmaster.topology import Topology
from lbmaster.view import MOST_HOLDINGS, MOST_ROLES, View
from lbwire.errors import Malformed
from lbwire.events import VrrpTransition
from lbwire.messages import Event, Events, Holding, Role, Sample

WEB = Topology(("d1", "d2"), ("r1",), {"www": ("10.0.0.100/24",)})


def test_a_role_is_believed_as_long_as_its_lease() -> None:
    """After it nobody is MASTER, whatever was said last."""
    view = View()
    assert view.hear("d1", 0.0, 1000.0)
    view.transition("d1", VrrpTransition("www", "MASTER", "", 100))
    assert view.masters(WEB) == {"www": ("d1",)}
    assert view.expire(5.0, 5.0) == []
    (lost,) = view.expire(5.1, 5.0)
    assert (lost.name, lost.roles) == ("d1", {"www": "MASTER"})
    assert view.masters(WEB) == {"www": ()}
    assert view.hear("d1", 6.0, 1006.0)
    assert view.masters(WEB) == {"www": ()}, "what it said before counts no more"


@pytest.mark.parametrize("lease", [0.4, 1.0, 2.0, 5.0])
def test_a_lease_runs_out_also_for_a_master_that_looks_a_little_late(lease: float) -> None:
    """Only one that has stood still begins it anew."""
    view = View()
    view.hear("d1", 0.0, 1000.0)
    lost = next(look for look in range(1, 100) if view.expire(look * 0.3, lease)) * 0.3
    assert lease < lost <= lease + 0.6


def test_a_stall_of_half_a_lease_is_a_standstill() -> None:
    """Samples wait unread meanwhile, and are read only after the next look."""
    view = View()
    view.hear("d1", 0.0, 1000.0)
    assert view.expire(0.25, 1.0) == []
    assert view.expire(1.1, 1.0) == []


def test_a_master_that_stood_still_calls_nobody_lost_for_what_it_did_not_hear() -> None:
    """Frozen, or its machine suspended: the leases begin anew, and run out as ever if nobody comes."""
    view = View()
    view.hear("d1", 0.0, 1000.0)
    assert view.expire(0.25, 5.0) == []
    assert view.expire(60.0, 5.0) == []
    assert view.is_there("d1")
    assert [view.expire(60.0 + seconds, 5.0) for seconds in (1, 2, 3, 4, 5)] == [[], [], [], [], []]
    (lost,) = view.expire(65.25, 5.0)
    assert lost.name == "d1"


def test_who_was_assumed_online_is_not_believed_before_it_is_heard_of() -> None:
    """A restart of the master proves nothing about minions."""
    view = View()
    view.assume_online("d1", 10.0)
    assert not view.is_there("d1")
    assert not view.hear("d1", 1.0, 1001.0)
    assert view.is_there("d1")


def test_a_minion_is_silent_since_it_was_last_heard_of() -> None:
    """Of one that was only assumed to be there nothing can be told, nor of a stranger."""
    view = View()
    view.assume_online("d1", 10.0)
    assert (view.silent("d1", 1.0), view.silent("d2", 1.0)) == (None, None)
    view.hear("d1", 2.0, 1002.0)
    assert view.silent("d1", 5.0) == 3.0


def test_a_handover_is_no_split_brain() -> None:
    """Two MASTERs within the grace are not reported; beyond it once, and its end once."""
    splits = Splits(1.5, lambda _: inf)
    two, one = {("web", "www"): ("d1", "d2")}, {("web", "www"): ("d2",)}
    assert [*splits.look(two, 0.0), *splits.look(one, 1.0)] == []
    assert splits.look(two, 2.0) == []
    assert [type(data).__name__ for _, data in splits.look(two, 3.5)] == ["SplitBrain"]
    assert splits.look(two, 4.0) == []
    ((_, ended),) = splits.look(one, 5.5)
    assert getattr(ended, "seconds", None) == 2.0


def test_a_director_that_lost_its_power_is_no_half_of_a_split_brain() -> None:
    """It said MASTER and cannot take it back: until its lease ends, nothing is concluded from that."""
    heard = {"d1": 0.0, "d2": 0.0}
    splits = Splits(1.5, heard.__getitem__)
    two = {("web", "www"): ("d1", "d2")}
    assert splits.look(two, 1.0) == []
    heard["d2"] = 2.0
    assert splits.look(two, 3.0) == []
    heard["d1"] = 3.1
    assert [type(data).__name__ for _, data in splits.look(two, 3.25)] == ["SplitBrain"]


@pytest.mark.parametrize(
    ("event_type", "cluster", "data", "reacts"),
    [
        ("vrrp.transition", "web", {"state": "MASTER", "instance": "www"}, True),
        ("vrrp.transition", "web", {"state": "BACKUP", "instance": "www"}, False),
        ("vrrp.transition", "", {"state": "MASTER"}, False),
        ("vrrp.split_brain", "web", {"instance": "www"}, True),
        ("drift.found", "web", {}, False),
    ],
)
def test_the_default_table(event_type: str, cluster: str, data: dict[str, str], reacts: bool) -> None:
    """A MASTER and a split brain have the cluster compared."""
    action = react(DEFAULT_REACTIONS, event_type, cluster, "d1", data)
    assert (action is not None) == reacts


def test_a_reaction_of_the_operator_matches_by_glob() -> None:
    """And names its reason."""
    table = (Reaction(on="keepalived.*", do="reconcile"),)
    assert react(table, "keepalived.died", "web", "d1", {}) == ReconcileCluster("web", "keepalived.died of d1")


def test_a_storm_of_moves_is_compared_at_once_then_together() -> None:
    """After the first ones, what moved meanwhile waits for the next tick; each instance is told once, from its beginning."""
    pace = Pace()
    done = []
    for number in range(10_000):
        source, target = ("d1", "d2") if number % 2 else ("d2", "d1")
        done += pace.ask("web", "storm", [Move("www", (), source, target)], number / 10_000)
    assert len(done) == MOST
    (due,) = pace.due()
    assert due == Due("web", "storm", (), MOST / 10_000)
    assert pace.due() == []
    moves = [Move("a", (), "d1", "d2"), Move("b", (), "d1", "d2"), Move("a", (), "d2", "d3")]
    for move in moves:
        assert pace.ask("web", "moved", [move], 1.0) == []
    assert pace.due()[0].moves == (Move("a", (), "d1", "d3"), Move("b", (), "d1", "d2"))


def test_what_is_to_be_announced_waits_in_a_storm_and_is_not_left_out() -> None:
    """Each instance once."""
    pace = Pace()
    assert pace.ask("web", "left", [], 0.0, ("a",)) == [Due("web", "left", (), 0.0, ("a",))]
    for number in range(1, MOST):
        pace.ask("web", "storm", [], number / 100)
    for name in ("b", "a", "b"):
        assert pace.ask("web", "left", [], 1.0, (name,)) == []
    assert pace.due() == [Due("web", "left", (), 1.0, ("a", "b"))]
    assert pace.left_out() == {}


@pytest.mark.pitfall("V12")
def test_what_was_yielded_is_announced_by_the_only_master_that_is_left() -> None:
    """Not while there are still two of them, nor where there is none, nor what is no instance of the cluster."""
    masters = {"a": ("d1",), "b": ("d1", "d2"), "c": (), "d": ("d2",), "e": ("d1",)}
    assert left_alone({name: {"d2", "d3"} for name in ("d", "a", "b", "c", "gone")}, masters) == ("a", "d")
    assert left_alone({}, masters) == ()


def test_a_director_that_yields_to_nobody_and_is_master_again_has_nothing_to_announce() -> None:
    """keepalived does that; and one that flaps alone must not have the whole cluster compared again and again."""
    assert left_alone({"a": {"d1"}}, {"a": ("d1",)}) == ()
    assert left_alone({"a": {"d1", "d2"}}, {"a": ("d1",)}) == ("a",)


def test_what_moves_nothing_is_left_out_and_counted_when_it_is_too_much() -> None:
    """Another cluster is not slowed down by it."""
    pace = Pace()
    assert sum(len(pace.ask("web", "loop", [], now / 100)) for now in range(500)) == MOST
    assert pace.left_out() == {"web": 500 - MOST}
    assert pace.left_out() == {}
    assert pace.due() == []
    assert len(pace.ask("other", "loop", [], 5.0)) == 1


def test_an_instance_that_is_back_where_it_was_has_not_moved() -> None:
    """The comparison is made all the same; no failover is told."""
    assert merged([Move("a", (), "d1", "d2"), Move("a", (), "d2", "d1")]) == ()
    assert merged([Move("a", (), "", "d2")]) == (Move("a", (), "", "d2"),)


def test_a_minion_can_have_only_so_many_roles_remembered() -> None:
    """Made up by a captured host, in samples or as transitions; what it said before is still updated."""
    view = View()
    view.hear("d1", 0.0, 1000.0)
    for number in range(3 * MOST_ROLES):
        view.transition("d1", VrrpTransition(f"i{number}", "MASTER", "", 1))
    view.transition("d1", VrrpTransition("i0", "BACKUP", "MASTER", 1))
    assert len(view.minions["d1"].roles) == MOST_ROLES
    assert view.minions["d1"].roles["i0"].state == "BACKUP"
    roles = {f"i{number}": Role("MASTER", 1) for number in range(2 * MOST_ROLES)}
    holdings = {f"c{number}": Holding(1, 1, 1) for number in range(2 * MOST_HOLDINGS)}
    assert view.sampled("d1", Sample(0.0, holdings, roles, 0), 1.0) == MOST_ROLES
    assert len(view.minions["d1"].roles) == MOST_ROLES
    assert len(view.minions["d1"].holdings) == MOST_HOLDINGS
    assert view.sampled("d1", Sample(0.0, {}, {"x" * 300: Role("MASTER", 1)}, 0), 1.0) == 1
    assert view.sampled("d1", Sample(0.0, {}, {"x": Role("MASTER", 1, ("v",) * 2000)}, 0), 1.0) == 1


def test_reactions_that_cause_each_other_are_stopped() -> None:
    """A loop by configuration costs a bounded number of reconciles."""
    brake = Brake()
    assert sum(brake.allows("web", now / 100) for now in range(500)) == MOST
    assert brake.allows("other", 1.0)
    assert brake.allows("web", 100.0)


@pytest.mark.parametrize(
    ("holding", "belongs", "expected"),
    [
        (Holding(2, 2, 9), True, "nothing"),
        (Holding(3, 2, 9), True, "nothing"),
        (Holding(1, 1, 9), True, "states"),
        (Holding(2, 1, 9), True, "release"),
        (Holding(0, 0, 0), True, "states"),
        (Holding(0, 0, 0), False, "nothing"),
        (Holding(1, 1, 5), False, "states"),
    ],
)
def test_what_a_host_is_owed(holding: Holding, belongs: bool, expected: str) -> None:
    """By what it holds, against generation 2 released to all."""
    assert owed(holding, 2, belongs=belongs) == expected


def test_nothing_is_owed_before_a_generation_was_released_to_all() -> None:
    """A first push that failed leaves nothing to catch up with."""
    assert owed(Holding(1, 0, 0), 0, belongs=True) == "nothing"


def event(boot: int, sequence: int) -> Event:
    return Event(boot, sequence, "minion.started", 0.0, "", {})


def test_a_new_boot_follows_an_old_one() -> None:
    """Sequences begin again with every boot."""
    message = Events(1, 7, (event(2, 1), event(2, 2)))
    assert [e.sequence for e in admit(message, (1, 7)).events] == [1, 2]
    assert admit(message, (1, 6)).gap


@pytest.mark.parametrize("events", [((1, 2), (1, 1)), ((1, 1), (1, 1)), ((2, 1), (1, 2))], ids=str)
def test_events_out_of_order_are_malformed(events: tuple[tuple[int, int], ...]) -> None:
    """A sequence has no way back."""
    with pytest.raises(Malformed):
        admit(Events(0, 0, tuple(event(*identity) for identity in events)), (0, 0))
