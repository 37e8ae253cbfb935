"""What of a plan may be done on a host whose clusters want different things."""

from __future__ import annotations

import msgspec

from lbminion.policy import Left, Share, part, reweighted, waiting, with_foreign
from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import Plan, diff, index

ONE, TWO = Address("lo", "10.0.0.1/32"), Address("lo", "10.0.0.2/32")
SHARED = Sysctl("net/ipv4/conf/all/arp_ignore", "1")
WEB = Service("tcp", "10.0.0.1", 80, "rr")
THEIRS = Service("tcp", "10.9.9.9", 80, "rr")
OURS = Destination(WEB.identity, "10.0.1.1", 80, "direct", 1)
ADDED = Destination(WEB.identity, "10.0.1.9", 80, "direct", 1)
HEALS = Share("a", heals=True, exclusive=False, resources=(ONE, SHARED))
REPORTS = Share("b", heals=False, exclusive=False, resources=(TWO, SHARED))
NOTHING = index(())


def everything(*shares: Share) -> Plan:
    return diff(index(it for share in shares for it in share.resources), NOTHING, NOTHING)


def names(plan: Plan) -> list[str]:
    return [change.identity for change in plan]


def test_what_a_cluster_only_wants_reported_is_left() -> None:
    """What the other wants is done, and so is what both want."""
    may, left = part(everything(HEALS, REPORTS), NOTHING, (HEALS, REPORTS), ())
    assert names(may) == [SHARED.identity, ONE.identity]
    assert [(it.change.identity, it.why) for it in left] == [(TWO.identity, "reported")]


def test_a_generation_that_was_released_is_put_in_force_all_the_same() -> None:
    """A push is no drift; the other cluster's is left."""
    other = Share("c", heals=False, exclusive=False, resources=(ONE,))
    may, left = part(everything(REPORTS, other), NOTHING, (REPORTS, other), {"b": 2})
    assert names(may) == [SHARED.identity, TWO.identity]
    assert [it.change.identity for it in left] == [ONE.identity]


def test_what_is_left_of_an_earlier_push_is_taken_away() -> None:
    """No cluster wants it any more, and it is ours."""
    owned = index([ONE])
    plan = diff(index([TWO]), index([ONE]), {kind: dict.fromkeys(of_kind) for kind, of_kind in owned.items()})
    may, left = part(plan, owned, (REPORTS,), ())
    assert names(may) == [ONE.identity]
    assert names(tuple(it.change for it in left)) == [TWO.identity]


def test_with_clusters_that_all_heal_everything_is_done() -> None:
    """The usual case costs nothing."""
    plan = everything(HEALS)
    assert part(plan, NOTHING, (HEALS,), ()) == (plan, ())
    assert part((), NOTHING, (REPORTS,), ()) == ((), ())


def exclusively(*, heals: bool, exclusive: bool = True) -> tuple[Plan, tuple[Left, ...]]:
    share = Share("a", heals, exclusive, (WEB, OURS))
    desired, observed = index(share.resources), index([WEB, OURS, ADDED, THEIRS])
    owned = {kind: dict.fromkeys(of_kind) for kind, of_kind in desired.items()}
    plan = diff(desired, observed, with_foreign(owned, observed, (share,)))
    return part(plan, owned, (share,), ())


def test_an_exclusive_cluster_removes_what_is_foreign() -> None:
    """Destinations first, also those that somebody added to our own service."""
    may, left = exclusively(heals=True)
    assert [(it.verb, it.identity) for it in may] == [("remove", ADDED.identity), ("remove", THEIRS.identity)]
    assert not left


def test_an_exclusive_cluster_that_only_wants_reports_removes_nothing() -> None:
    """It says what it would remove."""
    may, left = exclusively(heals=False)
    assert not may
    assert {it.change.identity for it in left} == {ADDED.identity, THEIRS.identity}


def test_any_other_cluster_leaves_what_is_foreign() -> None:
    """It is not even part of the plan."""
    assert exclusively(heals=True, exclusive=False) == ((), ())


def test_addresses_are_never_foreign_to_an_exclusive_cluster() -> None:
    """Only the IPVS table can be wanted for oneself: a host has addresses of its own."""
    share = Share("a", heals=True, exclusive=True, resources=(WEB,))
    owned = with_foreign(index(()), index([ONE, SHARED, THEIRS]), (share,))
    assert THEIRS.identity in owned["service"]
    assert not owned["address"]
    assert not owned["sysctl"]


def test_a_contested_thing_waits_and_a_destination_waits_with_its_service() -> None:
    """The kernel has no destination without its service."""
    plan = diff(index([WEB, OURS, ONE]), NOTHING, NOTHING)
    may, left = waiting(plan, {("service", WEB.identity)})
    assert names(may) == [ONE.identity]
    assert [(it.change.kind, it.why) for it in left] == [("service", "contested"), ("destination", "contested")]
    assert waiting(plan, ()) == (plan, ())


def test_a_weight_that_is_wanted_otherwise_than_before_is_no_drift() -> None:
    """It follows from probes; what somebody changed, and any other change, is drift."""
    lighter, other = (msgspec.structs.replace(OURS, **fields) for fields in ({"weight": 0}, {"weight": 0, "upper": 9}))
    before = index([WEB, OURS])
    for wanted, had, expected in (
        (lighter, OURS, {("destination", OURS.identity)}),
        (OURS, lighter, set()),
        (other, OURS, set()),
        (OURS, None, set()),
    ):
        now = index([WEB, wanted])
        there = index([WEB] if had is None else [WEB, had])
        assert reweighted(diff(now, there, NOTHING), before, now) == expected
