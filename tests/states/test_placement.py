"""placement: VRIDs and priorities."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lbstates.placement import priorities, virtual_router_ids
from lbstates.words import MAX_DIRECTORS

_ADDRESSES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 255)).map(lambda parts: f"10.0.{parts[0]}.{parts[1]}"),
    max_size=255,
    unique=True,
)


def test_the_vrid_is_the_last_octet() -> None:
    assert virtual_router_ids(["172.28.128.200", "172.28.128.7"]) == (200, 7)


def test_a_taken_vrid_gives_way_to_the_next_that_is_free() -> None:
    assert virtual_router_ids(["10.0.0.255", "10.0.1.255", "10.0.2.255", "10.0.0.1", "10.0.1.0"]) == (255, 1, 2, 3, 4)


@given(_ADDRESSES)
def test_v3_vrids_are_unique_and_valid(addresses: list[str]) -> None:
    vrids = virtual_router_ids(addresses)
    assert len(set(vrids)) == len(addresses)
    assert all(1 <= vrid <= 255 for vrid in vrids)


@given(_ADDRESSES)
def test_an_appended_vip_changes_no_vrid_before_it(addresses: list[str]) -> None:
    for length in range(0, len(addresses), 16):
        assert virtual_router_ids(addresses)[:length] == virtual_router_ids(addresses[:length])


def test_vips_take_turns_over_the_directors() -> None:
    """S8: every director is home of its share, and the others stand in for it."""
    directors = ("a", "b", "c")
    assert [priorities(directors, turn) for turn in range(3)] == [
        {"a": 250, "b": 240, "c": 230},
        {"a": 230, "b": 250, "c": 240},
        {"a": 240, "b": 230, "c": 250},
    ]


@given(st.integers(1, MAX_DIRECTORS), st.integers(1, 64))
def test_v6_priorities_are_unique_and_homes_are_shared_evenly(count: int, vips: int) -> None:
    directors = [f"d{i}" for i in range(count)]
    homes: Counter[str] = Counter(dict.fromkeys(directors, 0))
    for turn in range(vips):
        ranked = priorities(directors, turn)
        assert len(set(ranked.values())) == count
        assert all(1 <= priority <= 254 for priority in ranked.values())
        homes[max(ranked, key=ranked.__getitem__)] += 1
    assert max(homes.values()) - min(homes.values()) <= 1
