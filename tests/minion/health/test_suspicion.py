"""Which destinations are suspected by what IPVS counts, and which are not."""

from __future__ import annotations

import pytest

from lbminion.health.suspicion import Suspected, Suspicions
from lbminion.netlink.ipvs_statistics import DestinationStatistics

R1 = "tcp 10.0.0.100:80 -> 10.0.2.1:80"


def counted(connections: int, packets: int, active: int = 0) -> DestinationStatistics:
    return DestinationStatistics(connections, packets, 0, packets * 60, 0, 0, 0, 0, 0, 0, active, connections)


def told(*readings: tuple[int, int, int]) -> list[tuple[Suspected, ...]]:
    """Read (connections, packets, active) second by second; give what is fresh in each."""
    suspicions = Suspicions()
    return [suspicions.read([R1], {R1: counted(*reading)})[1] for reading in readings]


@pytest.mark.parametrize(
    ("what", "readings"),
    [
        ("refused", [(100 + 10 * second, 500 + 10 * second, 0) for second in range(4)]),
        ("dropped, and tried again", [(100 + 10 * second, 500 + 17 * second, 10 * second) for second in range(4)]),
        (
            "dropped, while old ones linger",
            [(100 + 10 * second, 500 + 12 * second, 40 - second) for second in range(4)],
        ),
    ],
)
def test_connections_that_nobody_answers_are_a_sign(what: str, readings: list[tuple[int, int, int]]) -> None:
    """Whether they are refused, or lost."""
    assert [bool(fresh) for fresh in told(*readings)].count(True) == 1, what


@pytest.mark.parametrize(
    ("what", "readings"),
    [
        ("idle", [(100, 500, 0)] * 9),
        ("short connections, all over within a second", [(10 * second, 60 * second, 0) for second in range(9)]),
        ("long ones, just begun", [(10 * second, 25 * second, 10 * second) for second in range(9)]),
        (
            "long ones that wait for the server to speak",
            [(10 * second, 20 * second, 10 * second) for second in range(9)],
        ),
        ("one client that gives up", [(100 + second // 4, 500 + second // 4, 0) for second in range(9)]),
        ("counters that begin anew", [(100, 500, 0), (10, 12, 0), (10, 12, 0)]),
        ("no new ones, packets of old ones", [(100, 500 + 50 * second, 4) for second in range(9)]),
    ],
)
def test_anything_else_is_none(what: str, readings: list[tuple[int, int, int]]) -> None:
    assert not any(told(*readings)), what


def test_a_suspicion_is_dropped_after_half_a_minute_without_a_sign() -> None:
    """And is news again when it comes again."""
    suspicions = Suspicions()
    bad = [counted(10 * second, 10 * second) for second in range(4)]
    for reading in bad:
        suspicions.read([R1], {R1: reading})
    assert suspicions.suspected == (R1,)
    for _ in range(40):
        suspicions.read([R1], {R1: bad[-1]})
    assert suspicions.suspected == ()
    fresh = [suspicions.read([R1], {R1: counted(30 + 10 * second, 30 + 10 * second)})[1] for second in range(1, 5)]
    assert sum(map(len, fresh)) == 1


def test_one_that_is_gone_from_the_table_is_suspected_no_more() -> None:
    suspicions = Suspicions()
    for second in range(4):
        suspicions.read([R1], {R1: counted(10 * second, 10 * second)})
    suspicions.read([R1], {})
    assert suspicions.suspected == ()
