"""placement: who takes which VIP, when nobody, one, two or more directors are dead, and what a change moves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from random import Random
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.placement import Unit, place
from lbstates.words import MAX_DIRECTORS

MOST_DIRECTORS = 8
MOST_VIPS = 64

WORST = {0: 1, 1: 1, 2: 2, 3: 3, 4: 6, 5: 9, 6: 5}
"""Deaths -> the largest difference between two survivors, over all clusters of up to 8 directors and 64 VIPs."""

Rankings: TypeAlias = Mapping[str, Sequence[str]]
Cluster: TypeAlias = tuple[list[Unit], dict[str, int]]
History: TypeAlias = tuple[list[Unit], dict[str, int], dict[str, tuple[str, ...]]]


def directors(count: int) -> dict[str, int]:
    return dict.fromkeys((f"d{i}" for i in range(count)), 1)


def singles(count: int) -> list[Unit]:
    return [Unit(f"v{i}", 1, None) for i in range(count)]


def holder(ranking: Sequence[str], dead: Collection[str] = ()) -> str:
    return next(director for director in ranking if director not in dead)


def loads(
    units: Sequence[Unit], rankings: Rankings, capacities: Collection[str], dead: Collection[str] = ()
) -> Counter[str]:
    found = Counter({director: 0 for director in capacities if director not in dead})
    for unit in units:
        found[holder(rankings[unit.name], dead)] += unit.size
    return found


def difference(values: Counter[str]) -> int:
    return max(values.values()) - min(values.values())


def moved(before: Rankings, after: Rankings) -> set[str]:
    return {name for name in before.keys() & after.keys() if before[name][0] != after[name][0]}


def uneven(
    units: Sequence[Unit],
    rankings: Rankings,
    capacities: Mapping[str, int],
    dead: Collection[str] = (),
    movable: Collection[Unit] = (),
) -> list[tuple[str, str]]:
    """The moves that would make the loads more even, by the definition in `place`, without fractions."""
    found = loads(units, rankings, capacities, dead)
    return [
        (unit.name, target)
        for unit in movable
        for source in [holder(rankings[unit.name], dead)]
        for target in found
        if target != source
        and (2 * found[source] - unit.size) * capacities[target] > (2 * found[target] + unit.size) * capacities[source]
    ]


COUNTS = st.tuples(st.integers(1, MOST_DIRECTORS), st.integers(0, MOST_VIPS))


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Units of several sizes, some with a preferred home; directors with capacities."""
    capacities = {f"d{i}": draw(st.integers(1, 4)) for i in range(draw(st.integers(1, MOST_DIRECTORS)))}
    homes = st.none() | st.sampled_from(sorted(capacities))
    shapes = draw(st.lists(st.tuples(st.sampled_from((1, 1, 1, 2, 3, 5)), homes), max_size=24))
    return [Unit(f"v{i}", size, home) for i, (size, home) in enumerate(shapes)], capacities


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A cluster of single VIPs and equal directors after several changes: units, directors and their last rankings."""
    rankings: dict[str, tuple[str, ...]] = {}
    for _ in range(draw(st.integers(1, 4))):
        capacities = dict.fromkeys(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True)), 1)
        vips = draw(st.lists(st.integers(0, MOST_VIPS - 1), max_size=MOST_VIPS, unique=True))
        units = [Unit(f"v{i}", 1, None) for i in vips]
        rankings = place(units, capacities, rankings)
    return units, capacities, rankings


NAMES = [f"d{i}" for i in range(MOST_DIRECTORS)]


def test_the_first_vips_of_a_file_are_at_home_on_the_first_directors() -> None:
    """In the order of the file, so that three balancers with three VIPs are what their author expects."""
    assert place(singles(3), directors(3), {}) == {
        "v0": ("d0", "d1", "d2"),
        "v1": ("d1", "d2", "d0"),
        "v2": ("d2", "d0", "d1"),
    }


@pytest.mark.pitfall("S8")
def test_the_vips_of_a_dead_director_go_to_different_ones() -> None:
    """S8: six VIPs of three directors: of the two of a dead one, each survivor takes one."""
    rankings = place(singles(6), directors(3), {})
    for dead in directors(3):
        assert set(loads(singles(6), rankings, directors(3), {dead}).values()) == {3}


@given(clusters())
def test_every_unit_ranks_every_director_once(cluster: Cluster) -> None:
    """All directors, each once; nothing for units that there are none of."""
    units, capacities = cluster
    rankings = place(units, capacities, {})
    assert list(rankings) == [unit.name for unit in units]
    assert all(sorted(ranking) == sorted(capacities) for ranking in rankings.values())


@given(histories())
def test_homes_differ_by_at_most_one(history: History) -> None:
    """Whatever there was before."""
    units, capacities, rankings = history
    assert difference(loads(units, rankings, capacities)) <= 1


@given(histories())
def test_one_death_is_spread_evenly(history: History) -> None:
    """Both what each survivor takes over and what each has then differ by at most one; whatever there was before."""
    units, capacities, rankings = history
    for dead in capacities if len(capacities) > 1 else ():
        left = [unit for unit in units if rankings[unit.name][0] == dead]
        assert difference(loads(left, rankings, capacities, {dead})) <= 1
        assert difference(loads(units, rankings, capacities, {dead})) <= 1


@given(histories())
def test_two_deaths_differ_by_at_most_two(
    history: History,
) -> None:
    """One is not always possible: three VIPs on five directors have two stand-ins between them, so two share one."""
    units, capacities, rankings = history
    for dead in combinations(capacities, 2) if len(capacities) > 2 else ():
        assert difference(loads(units, rankings, capacities, dead)) <= 2


@pytest.mark.parametrize("count", range(2, MOST_DIRECTORS + 1))
def test_every_set_of_deaths_stays_within_the_known_bound(count: int) -> None:
    """New clusters of up to 8 directors and 64 VIPs; docs/placement.md gives these figures."""
    worst: Counter[int] = Counter()
    for vips in range(1, MOST_VIPS + 1):
        rankings = place(singles(vips), directors(count), {})
        for deaths in range(count - 1):
            for dead in combinations(directors(count), deaths):
                worst[deaths] = max(worst[deaths], difference(loads(singles(vips), rankings, directors(count), dead)))
    assert all(worst[deaths] <= WORST[deaths] for deaths in range(count - 1)), worst


@given(clusters())
def test_a_preferred_home_is_the_home(cluster: Cluster) -> None:
    """Always, whatever that does to the loads."""
    units, capacities = cluster
    rankings = place(units, capacities, {})
    assert all(rankings[unit.name][0] == unit.home for unit in units if unit.home is not None)


@given(clusters(), st.data())
def test_loads_are_as_even_as_homes_capacities_and_sizes_allow(cluster: Cluster, data: st.DataObject) -> None:
    """No unit that may move could make them more even: nobody dead, one dead, two dead; also after a change."""
    units, capacities = cluster
    before = place(units, capacities, {})
    if data.draw(st.booleans()):
        units = [unit for unit in units if data.draw(st.booleans())]
        capacities = {**capacities, "d0": data.draw(st.integers(1, 4)), "new": 1}
    rankings = place(units, capacities, before)
    for deaths in range(min(3, len(capacities))):
        for dead in combinations(capacities, deaths):
            behind = [unit for unit in units if set(rankings[unit.name][:deaths]) == set(dead)]
            movable = [unit for unit in behind if deaths or unit.home is None]
            assert not uneven(units, rankings, capacities, dead, movable)


@given(st.integers(2, MOST_DIRECTORS), st.lists(st.integers(1, 6), min_size=1, max_size=30))
def test_sync_groups_leave_a_difference_of_at_most_the_largest(count: int, sizes: list[int]) -> None:
    """A sync group moves as a whole."""
    units = [Unit(f"g{i}", size, None) for i, size in enumerate(sizes)]
    rankings = place(units, directors(count), {})
    assert difference(loads(units, rankings, directors(count))) <= max(sizes)


def test_capacities_are_weights() -> None:
    """Twice the capacity, twice the VIPs; also when one dies."""
    capacities = {"small": 1, "large": 2, "other": 1}
    rankings = place(singles(12), capacities, {})
    assert loads(singles(12), rankings, capacities) == {"small": 3, "large": 6, "other": 3}
    assert loads(singles(12), rankings, capacities, {"small"}) == {"large": 8, "other": 4}
    assert loads(singles(12), rankings, capacities, {"large"}) == {"small": 6, "other": 6}


def test_survivors_with_little_to_do_take_more() -> None:
    """With preferred homes the loads of the survivors are what is made even, not what each takes over."""
    units = [*(Unit(f"a{i}", 1, "d0") for i in range(4)), *(Unit(f"b{i}", 1, "d1") for i in range(2))]
    rankings = place(units, directors(3), {})
    assert loads(units, rankings, directors(3), {"d0"}) == {"d1": 3, "d2": 3}


@given(clusters())
def test_an_unchanged_cluster_stays_as_it_is(cluster: Cluster) -> None:
    """Every rank, not only the home: a push must not move the VIPs of a director that happens to be dead."""
    units, capacities = cluster
    before = place(units, capacities, {})
    assert place(units, capacities, before) == before
    assert place(units, capacities, {}) == before


@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_matter_to_what_is_placed(cluster: Cluster, random: Random) -> None:
    """Sorting a file that was pushed moves nothing."""
    units, capacities = cluster
    before = place(units, capacities, {})
    shuffled, turned = random.sample(units, len(units)), dict(reversed(capacities.items()))
    assert place(shuffled, turned, before) == before


@given(COUNTS)
def test_a_new_director_takes_no_more_than_its_share(counts: tuple[int, int]) -> None:
    """At most ceil(M/(N+1)) VIPs move, all of them to the new one."""
    count, vips = counts
    before = place(singles(vips), directors(count), {})
    after = place(singles(vips), {"new": 1, **directors(count)}, before)
    gone = moved(before, after)
    assert len(gone) <= -(-vips // (count + 1))
    assert all(after[name][0] == "new" for name in gone)


@given(histories(), st.data())
def test_removing_a_director_moves_its_vips_only_and_to_where_they_are_if_it_is_dead(
    history: History, data: st.DataObject
) -> None:
    """Its stand-ins become the homes: nothing moves at all when the director was dead already."""
    units, capacities, before = history
    if len(capacities) == 1:
        return
    gone = data.draw(st.sampled_from(sorted(capacities)))
    after = place(units, {name: 1 for name in capacities if name != gone}, before)
    assert all(after[unit.name][0] == holder(before[unit.name], {gone}) for unit in units)


@given(histories())
def test_a_new_vip_moves_no_other(history: History) -> None:
    """Also as the first of the file."""
    units, capacities, before = history
    assert not moved(before, place([Unit("new", 1, None), *units], capacities, before))


@given(histories(), st.data())
def test_removing_a_vip_moves_at_most_one_other(history: History, data: st.DataObject) -> None:
    """To the director that lost it."""
    units, capacities, before = history
    if units:
        gone = data.draw(st.sampled_from(units))
        after = place([unit for unit in units if unit != gone], capacities, before)
        assert len(moved(before, after)) <= 1
        assert all(after[name][0] == before[gone.name][0] for name in moved(before, after))


@given(COUNTS, st.data())
def test_a_changed_capacity_moves_no_more_than_the_loads_change(counts: tuple[int, int], data: st.DataObject) -> None:
    """The least possible: nobody gives and takes at once."""
    count, vips = counts
    capacities = {name: data.draw(st.integers(1, 4)) for name in directors(count)}
    before = place(singles(vips), capacities, {})
    changed = {**capacities, "d0": data.draw(st.integers(1, 4))}
    after = place(singles(vips), changed, before)
    gone = moved(before, after)
    assert not {before[name][0] for name in gone} & {after[name][0] for name in gone}


@given(histories(), st.data())
def test_any_change_of_equal_directors_moves_the_least_possible(history: History, data: st.DataObject) -> None:
    """Directors come, VIPs come and go: nobody gives and takes, and new VIPs go where old ones need not."""
    units, capacities, before = history
    more = data.draw(st.lists(st.sampled_from(NAMES), max_size=3))
    capacities = dict.fromkeys((*capacities, *more), 1)
    kept = [unit for unit in units if data.draw(st.booleans())]
    new = [Unit(f"new{i}", 1, None) for i in range(data.draw(st.integers(0, 5)))]
    after = place([*kept, *new], capacities, before)
    gone = moved(before, after)
    givers = {before[name][0] for name in gone}
    takers = {after[name][0] for name in (*gone, *(unit.name for unit in new))}
    assert not givers & takers


def test_rankings_of_units_and_directors_that_are_gone_do_no_harm() -> None:
    """`before` may hold anything that once was."""
    before = {"v0": ("gone", "d1"), "other": ("d0",), "v1": ()}
    assert place(singles(2), directors(2), before) == {"v0": ("d1", "d0"), "v1": ("d0", "d1")}


def test_nothing_to_place() -> None:
    """No units, no rankings; no directors, empty ones."""
    assert place([], directors(2), {}) == {}
    assert place(singles(1), {}, {}) == {"v0": ()}


def test_a_capacity_below_one_is_refused() -> None:
    """By the name of its director."""
    with pytest.raises(ValueError, match="capacity of d1 is 0"):
        place(singles(1), {"d0": 1, "d1": 0}, {})


def test_a_preferred_home_that_is_no_director_is_refused() -> None:
    """By both names."""
    with pytest.raises(ValueError, match="home of v0, d7, is not among"):
        place([Unit("v0", 1, "d7")], directors(2), {})


def test_as_many_directors_as_there_may_be() -> None:
    """Rankings stay complete and the first ranks even."""
    rankings = place(singles(50), directors(MAX_DIRECTORS), {})
    assert all(len(set(ranking)) == MAX_DIRECTORS for ranking in rankings.values())
    for dead in directors(MAX_DIRECTORS):
        assert difference(loads(singles(50), rankings, directors(MAX_DIRECTORS), {dead})) <= 1


def test_placing_is_quick() -> None:
    """Less than 100 ms for 8 directors and 64 VIPs, new or with all of them on one director before."""
    units, capacities = singles(MOST_VIPS), directors(MOST_DIRECTORS)
    started = time.process_time()
    place(units, capacities, {})
    place(units, capacities, {unit.name: ("d0",) for unit in units})
    assert time.process_time() - started < 0.2
