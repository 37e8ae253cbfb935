"""placement: priorities, the penalty of a director without its minion, and VRIDs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.placement import adjustments, penalty, priorities, virtual_router_ids
from lbstates.words import MAX_DIRECTORS

_ADDRESSES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 255)).map(lambda parts: f"10.0.{parts[0]}.{parts[1]}"),
    max_size=255,
    unique=True,
)


def ids(*addresses: str) -> tuple[int, ...]:
    return tuple(virtual_router_ids([(address, address, None) for address in addresses], (), {}).values())


def test_priorities_fall_by_ten() -> None:
    """From 250: 255 is the address owner's, and the next backup must hear of the first in time."""
    assert priorities(("b", "a", "c")) == {"b": 250, "a": 240, "c": 230}


@pytest.mark.parametrize("count", range(1, MAX_DIRECTORS + 1))
def test_v6_priorities_and_fallen_priorities_are_unique_and_valid(count: int) -> None:
    """A director without its minion stands behind every one that has its own, and never at 0."""
    names = [f"d{i}" for i in range(count)]
    ranked = priorities(names)
    fallen = [priority - penalty(count) for priority in ranked.values()]
    numbers = [*ranked.values(), *fallen]
    assert len(set(numbers)) == 2 * count
    assert all(1 <= number <= 254 for number in numbers)
    assert max(fallen) < min(ranked.values())


States = dict[str, int]
"""What a director's priority can be: by what operators want of it, and whether its minion is dead."""


def _states(count: int) -> list[States]:
    """Work out all that each director of a ranking can be."""
    names = [f"d{i}" for i in range(count)]
    ranked, down = priorities(names), penalty(count)
    found = []
    for name in names:
        other = next((it for it in names if it != name), None)
        wanted = {
            "chosen": adjustments(ranked, name, ()),
            "plain": adjustments(ranked, None, ()),
            "beside": adjustments(ranked, other, (), stand_back=True),
            "evacuated": adjustments(ranked, name, {name}),
            "all evacuated": adjustments(ranked, None, names),
        }
        alive = {state: ranked[name] + of_all.get(name, 0) for state, of_all in wanted.items()}
        found.append(alive | {f"dead {state}": priority - down for state, priority in alive.items()})
    return found


@pytest.mark.parametrize("count", range(1, MAX_DIRECTORS + 1))
def test_whatever_operators_want_and_whoever_dies_the_order_is_right(count: int) -> None:
    """Any two directors, in any two states: all that a combination of states of any number of them can be made of.

    Who lacks its minion is below all that have theirs; who was chosen is above, who was evacuated below all others; those
    of a kind keep their order; nobody equals anybody, and keepalived takes every number as it is.
    """
    found = _states(count)
    rank = {"chosen": 3, "plain": 2, "beside": 2, "evacuated": 1, "all evacuated": 1}
    for place, one in enumerate(found):
        assert all(1 <= priority <= 254 for priority in one.values())
        for other in found[place + 1 :]:
            for mine, my_priority in one.items():
                for theirs, their_priority in other.items():
                    if mine.endswith("chosen") and theirs.endswith("chosen"):
                        continue
                    assert my_priority != their_priority
                    if {mine.removeprefix("dead "), theirs.removeprefix("dead ")} == {"plain", "beside"}:
                        continue  # on the way from one to the other
                    dead = mine.startswith("dead "), theirs.startswith("dead ")
                    ranks = rank[mine.removeprefix("dead ")], rank[theirs.removeprefix("dead ")]
                    above = dead < (True, False) if dead[0] != dead[1] else ranks[0] >= ranks[1]
                    assert (my_priority > their_priority) is above, (mine, my_priority, theirs, their_priority)


@pytest.mark.parametrize("stand_back", [False, True])
def test_only_who_is_chosen_changes_unless_all_have_to(stand_back: bool) -> None:
    """Where nobody preempts, who is master has to see that it shall not be any more."""
    ranked = priorities(("a", "b", "c"))
    others = {"a": -45, "b": -45} if stand_back else {}
    assert adjustments(ranked, "c", (), stand_back=stand_back) == {**others, "c": 24}


def test_who_is_evacuated_is_not_chosen() -> None:
    """It would have to leave at once; and the others have nothing to change for."""
    ranked = priorities(("a", "b"))
    assert adjustments(ranked, "a", {"a"}, stand_back=True) == {"a": -56}


def test_a_director_that_the_election_does_not_have_changes_nothing() -> None:
    """It was taken out of the cluster file after somebody chose it, or evacuated it."""
    assert adjustments(priorities(("a", "b")), "x", {"y"}, stand_back=True) == {}


def test_the_vrid_is_the_last_octet() -> None:
    """What an operator recognises in a packet dump."""
    assert ids("172.28.128.200", "172.28.128.7") == (200, 7)


def test_the_vrid_of_an_ipv6_address_is_what_reads_as_its_number() -> None:
    """Else its last octet: 0xab of ::12ab."""
    assert ids("fd00::40", "fd00::12ab", "fd00::1000") == (40, 0xAB, 1)


def test_a_taken_vrid_gives_way_to_the_next_that_is_free() -> None:
    """255 is followed by 1."""
    assert ids("10.0.0.255", "10.0.1.255", "10.0.2.255", "10.0.0.1", "10.0.1.0") == (255, 1, 2, 3, 4)


@given(_ADDRESSES)
def test_v3_vrids_are_unique_and_valid(addresses: list[str]) -> None:
    """On one segment nobody may share one."""
    vrids = ids(*addresses)
    assert len(set(vrids)) == len(addresses)
    assert all(1 <= vrid <= 255 for vrid in vrids)


@given(_ADDRESSES)
def test_an_appended_vip_changes_no_vrid_before_it(addresses: list[str]) -> None:
    """Also without any memory of what was."""
    for length in range(0, len(addresses), 16):
        assert ids(*addresses)[:length] == ids(*addresses[:length])


def test_a_reserved_vrid_is_given_to_nobody() -> None:
    """Not even to the instance that had it before the reservation."""
    wanted = [("a", "10.0.0.7", None), ("b", "10.0.0.9", None)]
    assert virtual_router_ids(wanted, {7, 8, 9}, {"b": 9}) == {"a": 10, "b": 11}


def test_a_fixed_vrid_stands() -> None:
    """Even a reserved one; others give way, also those that had it before."""
    wanted = [("a", "10.0.0.7", None), ("b", "10.0.0.9", 7)]
    assert virtual_router_ids(wanted, {7}, {"a": 7}) == {"a": 8, "b": 7}


@given(_ADDRESSES, st.data())
def test_vrids_of_a_known_instance_stay(addresses: list[str], data: st.DataObject) -> None:
    """Whatever comes before it in the file, goes, or changes its address."""
    wanted: list[tuple[str, str, int | None]] = [(address, address, None) for address in addresses[:100]]
    before = virtual_router_ids(wanted, (), {})
    kept = [entry for entry in wanted if data.draw(st.booleans())]
    after = virtual_router_ids([("new", "10.0.0.1", None), *kept], (), before)
    assert all(after[name] == before[name] for name, _, _ in kept)
    assert len(set(after.values())) == len(after)


def test_more_instances_than_vrids_are_refused() -> None:
    """Reservations count."""
    with pytest.raises(ValueError, match="no VRID is left"):
        virtual_router_ids([("a", "10.0.0.1", None)], range(1, 256), {})
