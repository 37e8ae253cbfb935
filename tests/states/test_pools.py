"""pools.decide: which weights follow from verdicts, and how many may be out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.balancing import Pool, ServiceDestination, VirtualService
from lbstates.checks import TcpCheck
from lbstates.desired import DirectorState, Host
from lbstates.health import UNPROVEN, Verdict
from lbstates.pools import PoolDecision, decide, edit_problems, may_be_out

UP = Verdict("up", 10, recovered=10, established=True, proven=True)
FRESH_DOWN = Verdict("down", 10)
SORRY = ServiceDestination("10.0.0.99", 80, 1)


def _down(since: float = 10) -> Verdict:
    return Verdict("down", since, established=True, proven=True)


def _service(count: int, *, drained: tuple[int, ...] = (), weight: int = 1, **pool: Any) -> VirtualService:
    destinations = tuple(
        ServiceDestination(f"10.0.0.{number}", 80, weight, host=f"r{number}", drained=number in drained)
        for number in range(1, count + 1)
    )
    return VirtualService("tcp", "10.0.0.200", 80, "wlc", destinations, check=TcpCheck(), pool=Pool(**pool))


def _id(number: int) -> str:
    return f"tcp 10.0.0.200:80 -> 10.0.0.{number}:80"


def _decide(service: VirtualService, *verdicts: Verdict, now: float = 1000, out: tuple[int, ...] = ()) -> PoolDecision:
    named = {_id(number): verdict for number, verdict in enumerate(verdicts, 1)}
    return decide(service, named, now, [_id(number) for number in out])


def _in(service: VirtualService, decision: PoolDecision) -> list[str]:
    """Who takes connections, by the last part of the address."""
    return [
        it.address.rpartition(".")[2]
        for it in service.all_destinations
        if not it.drained
        and decision.weights.get(service.identity_of(it), 0 if it is service.pool.sorry else it.weight) > 0
    ]


def test_all_well_needs_no_other_weight() -> None:
    """What is decided names only what differs from the state."""
    assert _decide(_service(3), UP, UP, UP) == PoolDecision()


def test_without_a_check_nobody_is_judged() -> None:
    """Whatever was known of its real servers."""
    service = msgspec.structs.replace(_service(2), check=None)
    assert decide(service, {_id(1): _down()}, 0) == PoolDecision()


def test_who_fails_is_out() -> None:
    """As long as not too many are."""
    decision = _decide(_service(4), UP, _down(), UP, UP)
    assert decision.weights == {_id(2): 0}
    assert (decision.out, decision.failing, decision.frozen) == ((_id(2),), (_id(2),), False)


@pytest.mark.pitfall("H3")
def test_h3_a_new_real_server_gets_nothing_before_its_first_probe() -> None:
    """Nor after, until one has passed: it is missed by nobody."""
    decision = _decide(_service(3), UP, UNPROVEN, FRESH_DOWN)
    assert decision.weights == {_id(2): 0, _id(3): 0}
    assert decision.unproven == (_id(2),)
    assert not decision.frozen


@pytest.mark.pitfall("H2")
def test_h2_at_most_the_share_goes_out_the_first_to_fail_first() -> None:
    """The others stay in with their weight although they fail, and the pool is frozen."""
    service = _service(4)
    decision = _decide(service, _down(30), _down(10), UP, _down(20))
    assert decision.weights == {_id(2): 0, _id(4): 0}
    assert decision.kept == (_id(1),)
    assert decision.frozen


@pytest.mark.pitfall("H2")
def test_h2_one_broken_check_does_not_empty_the_pool() -> None:
    """Half of it stays, also if the check never passed anywhere: then it is the check that is suspected."""
    decision = _decide(_service(4), *[FRESH_DOWN] * 4)
    assert len(decision.out) == len(decision.kept) == 2
    assert decision.suspect
    assert not _decide(_service(4), *[_down()] * 4).suspect


@pytest.mark.pitfall("H6")
def test_h6_a_check_that_never_passed_is_suspect_and_one_that_did_is_not() -> None:
    """Not before every real server was probed, and not of a new one beside others that pass."""
    assert _decide(_service(2), FRESH_DOWN, FRESH_DOWN).suspect
    assert not _decide(_service(2), FRESH_DOWN, UNPROVEN).suspect
    assert not _decide(_service(2), FRESH_DOWN, UP).suspect
    changed = msgspec.structs.replace(_down(), proven=False)
    assert _decide(_service(2), changed, changed).suspect


def test_a_broken_new_real_server_takes_no_seat_from_one_that_was_in() -> None:
    """Ten that never passed do not make it right that the only two good ones go out, nor that they come in."""
    service = _service(12)
    decision = _decide(service, UP, _down(), *[FRESH_DOWN] * 10)
    assert _in(service, decision) == ["1"]
    decision = _decide(service, _down(5), _down(6), *[FRESH_DOWN] * 10)
    assert _in(service, decision) == ["2"]


def test_the_only_one_that_is_in_stays_until_another_has_passed() -> None:
    """An unproven one is no reason to take it out."""
    service = _service(2)
    assert _in(service, _decide(service, _down(), UNPROVEN)) == ["1"]
    assert _in(service, _decide(service, _down(), UP)) == ["2"]


def test_drains_count_first() -> None:
    """An operator's word holds, also beyond the share; who fails then stays in."""
    service = _service(4, drained=(1, 2))
    decision = _decide(service, UP, UP, _down(), UP)
    assert _in(service, decision) == ["3", "4"]
    assert decision.frozen
    service = _service(4, drained=(1, 2, 3))
    assert _in(service, _decide(service, UP, UP, UP, UP)) == ["4"]


def test_who_is_out_stays_out_while_another_one_is_drained() -> None:
    """It fails: connections would not be better off with it. Unless nobody else is left."""
    service = _service(4, drained=(3,))
    verdicts = (_down(1), _down(2), UP, UP)
    assert _in(service, _decide(service, *verdicts, out=(1, 2))) == ["4"]
    assert _in(service, _decide(service, *verdicts)) == ["2", "4"]
    assert _in(service, _decide(service, *verdicts[:3], _down(3), out=(1, 2))) == ["2", "4"]


def test_weight_0_in_the_file_is_not_in_the_pool() -> None:
    """It takes nothing, and its verdict changes nothing for the others."""
    service = _service(3)
    spare = msgspec.structs.replace(service.destinations[2], weight=0)
    service = msgspec.structs.replace(service, destinations=(*service.destinations[:2], spare))
    assert _decide(service, UP, UP, _down()) == PoolDecision()
    assert not _decide(service, UP, _down(), UP).frozen


def test_the_sorry_server_answers_when_nobody_else_does() -> None:
    """Then the share does not hold: all others are out."""
    service = _service(2, sorry=SORRY)
    assert _in(service, _decide(service, UP, UP)) == ["1", "2"]
    assert _in(service, _decide(service, UP, _down())) == ["1"]
    decision = _decide(service, _down(), _down())
    assert _in(service, decision) == ["99"]
    assert (decision.sorry, decision.frozen) == (True, False)
    drained = _service(2, drained=(1, 2), sorry=SORRY)
    assert _in(drained, _decide(drained, UP, UP)) == ["99"]


def test_the_sorry_server_waits_for_the_first_probes() -> None:
    """Of a service that was just made; later it does not give way to one that never passed."""
    service = _service(2, sorry=SORRY)
    assert not _decide(service, UNPROVEN, UNPROVEN).sorry
    assert _decide(service, UNPROVEN, _down()).sorry


def test_a_drained_sorry_server_is_none() -> None:
    """Then the share holds."""
    service = _service(2, sorry=msgspec.structs.replace(SORRY, drained=True))
    decision = _decide(service, _down(1), _down(2))
    assert _in(service, decision) == ["2"]


@pytest.mark.pitfall("I13")
def test_i13_a_real_server_that_comes_in_gets_its_weight_in_steps() -> None:
    """From 1 up; when the next step is due is said; who was in before is not concerned."""
    service = _service(2, weight=50, slow_start=20)
    late = msgspec.structs.replace(UP, recovered=100.0)
    found = [_decide(service, UP, late, now=now) for now in (100, 105.9, 110, 119.9, 120, 5)]
    assert [it.weights.get(_id(2)) for it in found] == [1, 10, 25, 45, None, None]
    assert [it.changes_at for it in found] == [102, 106, 112, 120, None, None]
    assert _decide(service, UP, msgspec.structs.replace(late, recovered=None), now=101) == PoolDecision()


VERDICT = st.builds(
    lambda state, since, known: (
        UNPROVEN
        if state == "unproven"
        else Verdict(state, since, recovered=since if state == "up" else None, established=known or state == "up")
    ),
    st.sampled_from(["unproven", "up", "down"]),
    st.integers(0, 5).map(float),
    st.booleans(),
)
POOLS = st.integers(1, 8).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(VERDICT, min_size=count, max_size=count),
        st.sets(st.integers(1, count)),
        st.integers(0, 100),
        st.sampled_from([None, SORRY]),
        st.sets(st.integers(1, count)),
        st.integers(0, 3),
    )
)


@given(POOLS)
def test_whatever_the_verdicts_are_the_rules_hold(
    case: tuple[int, list[Verdict], set[int], int, ServiceDestination | None, set[int], int],
) -> None:
    """No weight for the unproven and the drained; no more out than may be; whoever answers is in; the same again."""
    count, verdicts, drained, most_out, sorry, out, slow = case
    service = _service(count, drained=tuple(drained), weight=7, most_out=most_out, sorry=sorry, slow_start=slow)
    decision = _decide(service, *verdicts, now=6, out=tuple(out))
    taking = set(_in(service, decision))
    named = {str(number): verdict for number, verdict in enumerate(verdicts, 1) if number not in drained}
    assert not taking & {str(number) for number in drained}
    assert not taking & {name for name, verdict in named.items() if verdict.state == "unproven"}
    assert taking >= {name for name, verdict in named.items() if verdict.state == "up"}
    assert decision == _decide(service, *verdicts, now=6, out=tuple(out))
    if decision.sorry:
        assert taking == {"99"}
        return
    assert "99" not in taking
    members = [name for name, verdict in named.items() if verdict.established]
    if not members and "unproven" not in {verdict.state for verdict in named.values()}:
        members = list(named)
    allowed = may_be_out(service.pool, len(members) + len(drained))
    gone = len(set(members) - taking)
    assert gone <= max(allowed - len(drained), 0) or (gone <= allowed and taking)


@given(POOLS)
def test_a_decision_stands_when_it_is_made_again(
    case: tuple[int, list[Verdict], set[int], int, ServiceDestination | None, set[int], int],
) -> None:
    """With what it decided itself as the one before: nothing goes back and forth."""
    count, verdicts, drained, most_out, sorry, _, _ = case
    service = _service(count, drained=tuple(drained), most_out=most_out, sorry=sorry)
    first = _decide(service, *verdicts)
    named = {_id(number): verdict for number, verdict in enumerate(verdicts, 1)}
    assert decide(service, named, 1000, first.out) == first


# --- edits -----------------------------------------------------------------------------------------------------------


def _state(*services: VirtualService) -> DirectorState:
    return DirectorState("c", {"d1": Host("10.0.0.251")}, (), services)


def _without(service: VirtualService, *numbers: int) -> VirtualService:
    kept = tuple(it for it in service.destinations if it.host not in {f"r{number}" for number in numbers})
    return msgspec.structs.replace(service, destinations=kept)


@pytest.mark.pitfall("H2")
def test_h2_an_edit_may_not_take_out_more_than_checks_may() -> None:
    """Removed, drained or given weight 0: all the same; up to the share it may."""
    old = _service(4)
    light = msgspec.structs.replace(
        old, destinations=tuple(msgspec.structs.replace(it, weight=int(it.host == "r1")) for it in old.destinations)
    )
    for new in (_without(old, 1, 2, 3), _service(4, drained=(1, 2, 3)), light):
        (problem,) = edit_problems(_state(old), _state(new))
        assert problem.startswith("tcp 10.0.0.200:80: r")
        assert "1 of 4 real servers would be left" in problem
    assert edit_problems(_state(old), _state(_without(old, 1, 2))) == ()


@pytest.mark.pitfall("H2")
def test_h2_who_fails_already_counts_in_an_edit() -> None:
    """And is named; but an edit that takes nobody is not to blame."""
    old = _service(4)
    (problem,) = edit_problems(_state(old), _state(_without(old, 1)), {_id(2), _id(3)})
    assert "r1 is taken out, and r2, r3 fail: 1 of 4" in problem
    assert edit_problems(_state(old), _state(old), {_id(2), _id(3), _id(4)}) == ()
    assert edit_problems(_state(old), _state(_without(old, 2)), {_id(2)}) == ()


def test_new_real_servers_are_no_replacement_at_once() -> None:
    """They have yet to pass their first probe: in two steps it is possible."""
    old, both = _without(_service(2), 2), _service(2)
    new = _without(_service(2), 1)
    assert edit_problems(_state(old), _state(new))
    assert edit_problems(_state(old), _state(both)) == ()
    assert edit_problems(_state(both), _state(new)) == ()


def test_a_service_that_is_removed_or_new_is_no_problem() -> None:
    """Nobody can say what its pool would be."""
    assert edit_problems(_state(_service(4)), _state()) == ()
    assert edit_problems(_state(), _state(_service(4))) == ()
