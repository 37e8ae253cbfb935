"""What a sample tells of the table: everything once, then what changed; the master's picture is the table's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmaster.view import Counted
from lbminion.netlink.ipvs_statistics import DestinationStatistics, ServiceStatistics
from lbminion.netlink.ipvs_table import Snapshot, Statistics, Table
from lbminion.sampler import FULL_EVERY, MOST, NO_TABLE, Sampler, Told
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.probe_path import Way, mark_of
from lbwire.codec import pack, unpack
from lbwire.errors import Malformed
from lbwire.messages import Figures, Sample, decode, encode

WEB = Service("tcp", "10.0.0.1", 80, "rr")


def service_counts(number: int) -> ServiceStatistics:
    """Counters that tell one number from another."""
    return ServiceStatistics(*range(number, number + 10))


def destination(number: int, weight: int = 1) -> Destination:
    """One of the destinations of `WEB`."""
    return Destination(WEB.identity, f"10.1.0.{number}", 80, "direct", weight)


def destination_counts(number: int) -> DestinationStatistics:
    """Counters that tell one number from another."""
    return DestinationStatistics(*range(number, number + 12))


def reading(*things: tuple[Destination, DestinationStatistics], web: ServiceStatistics | None = None) -> Snapshot:
    """A table of `WEB` and destinations."""
    counted = {WEB.identity: web} if web is not None else {}
    table = Table({WEB.identity: WEB}, {thing.identity: thing for thing, _ in things}, {})
    return Snapshot(table, Statistics(counted, {thing.identity: counts for thing, counts in things}))


def sample(told: Told) -> Sample:
    """The sample that goes on the wire, and comes out of it."""
    found = decode(encode(msgspec.structs.replace(Sample(0.0, {}, {}, 0), **told._asdict())))
    assert isinstance(found, Sample)
    return found


ONE, TWO = destination(1), destination(2)
A, B, WEB_COUNTS = destination_counts(10), destination_counts(20), service_counts(30)


def test_the_first_sample_tells_everything() -> None:
    told = Sampler().take(reading((ONE, A), web=WEB_COUNTS))
    assert told.full
    assert told.services == (Figures(WEB.identity, *range(30, 40)),)
    assert told.destinations == (Figures(ONE.identity, *range(10, 22), weight=1),)


def test_what_has_not_changed_is_not_told_again() -> None:
    sampler = Sampler()
    first = reading((ONE, A), (TWO, B), web=WEB_COUNTS)
    sampler.take(first)
    assert sampler.take(first)[1:] == (False, (), (), ())
    told = sampler.take(reading((ONE, A), (TWO, destination_counts(21)), web=WEB_COUNTS))
    assert told[1:] == (False, (), (Figures(TWO.identity, *range(21, 33), weight=1),), ())


def test_another_weight_is_told_though_nothing_was_counted() -> None:
    sampler = Sampler()
    sampler.take(reading((ONE, A)))
    told = sampler.take(reading((destination(1, weight=7), A)))
    assert [entry.weight for entry in told.destinations] == [7]


def test_what_is_gone_is_named() -> None:
    sampler = Sampler()
    sampler.take(reading((ONE, A), (TWO, B), web=WEB_COUNTS))
    assert sampler.take(reading((ONE, A)))[1:] == (False, (), (), (WEB.identity, TWO.identity))


def test_after_a_sample_that_may_be_lost_everything_is_told() -> None:
    sampler = Sampler()
    sampler.take(reading((ONE, A)))
    sampler.forget()
    told = sampler.take(reading((ONE, A)))
    assert told.full
    assert len(told.destinations) == 1


def test_now_and_then_everything_is_told_for_no_reason() -> None:
    sampler = Sampler()
    same = reading((ONE, A))
    assert [sampler.take(same).full for _ in range(2 * FULL_EVERY + 1)].count(True) == 3


def test_a_host_without_a_table_tells_nothing() -> None:
    sampler = Sampler()
    for _ in range(3):
        assert sampler.take(NO_TABLE)[2:] == ((), (), ())


def test_a_master_that_missed_a_sample_keeps_what_it_had_until_the_next_full_one() -> None:
    sampler, counted = Sampler(), Counted()
    counted.take(sample(sampler.take(reading((ONE, A)))))
    sampler.take(reading((ONE, A), (TWO, B)))
    counted.take(sample(sampler.take(reading((ONE, B), (TWO, B)))))
    assert list(counted.destinations) == [ONE.identity]
    assert counted.destinations[ONE.identity].connections == 10
    sampler.forget()
    counted.take(sample(sampler.take(reading((ONE, B), (TWO, B)))))
    assert [entry.connections for entry in counted.destinations.values()] == [20, 20]


def test_a_master_that_never_heard_everything_shows_nothing() -> None:
    sampler, counted = Sampler(), Counted()
    sampler.take(reading((ONE, A)))
    counted.take(sample(sampler.take(reading((ONE, B)))))
    assert counted.destinations == {}


tables = st.dictionaries(st.integers(1, 5), st.tuples(st.integers(0, 2), st.integers(0, 2)))


@given(st.lists(st.tuples(tables, st.sampled_from(["arrives", "refused", "lost"])), max_size=12))
def test_the_masters_picture_is_the_hosts_table_or_an_older_one(steps: list[tuple[Any, str]]) -> None:
    """Whatever the queue refuses, and whatever is lost without a word: after a full sample it is the table's."""
    sampler, counted, whole = Sampler(), Counted(), False
    kept: dict[tuple[int, int], Destination] = {}
    figures = [destination_counts(number) for number in range(3)]
    for table, fate in steps:
        snapshot = reading(
            *[
                (kept.setdefault((number, weight), destination(number, weight)), figures[count])
                for number, (weight, count) in table.items()
            ]
        )
        told = sampler.take(snapshot)
        if fate == "arrives":
            whole = told.full or whole
            counted.take(sample(told))
        elif fate == "refused":
            sampler.forget()
        else:
            whole = False
        if whole and fate == "arrives":
            assert counted.destinations == {
                one.identity: Figures(one.identity, *msgspec.structs.astuple(counts), weight=one.weight)
                for one, counts in (
                    (thing, snapshot.statistics.destinations[identity])
                    for identity, thing in snapshot.table.destinations.items()
                )
            }


@pytest.mark.parametrize("number", [-1, 2**63])
def test_a_number_that_cannot_be_is_refused(number: int) -> None:
    raw = encode(Sample(0.0, {}, {}, 0))
    with pytest.raises(Malformed):
        decode(pack(unpack(raw) | {"number": number}))


def test_a_huge_table_is_told_as_far_as_a_message_goes() -> None:
    """Somebody's own table of a hundred thousand entries must not keep this host from being heard at all."""
    service = Service("tcp", "2001:db8:ffff:ffff:ffff:ffff:ffff:1", 65535, "rr")
    far = (f"2001:db8:ffff:ffff:ffff:ffff:{n >> 12:x}:{n & 4095:x}" for n in range(MOST + 1000))
    some = [Destination(service.identity, address, 65535, "masquerade", 1) for address in far]
    most = DestinationStatistics(*[2**32 - 1] * 5, *[2**31] * 7)
    table = Table({service.identity: service}, {it.identity: it for it in some}, {})
    counted = Statistics({service.identity: service_counts(1)}, dict.fromkeys((it.identity for it in some), most))
    found = sample(Sampler().take(Snapshot(table, counted)))
    assert len(found.services) + len(found.destinations) == MOST


def test_what_is_there_for_probes_alone_is_not_told() -> None:
    """Neither at first, nor when it has counted, nor when it is gone."""
    way = Way("10.1.0.1", "direct", None, "ipv4")
    probes = Service(None, "", 0, "rr", one_packet=True, mark=mark_of(way))
    there = Destination(probes.identity, "10.1.0.1", 0, "direct", 1)
    table = Table({WEB.identity: WEB, probes.identity: probes}, {ONE.identity: ONE, there.identity: there}, {})

    def counted(number: int) -> Snapshot:
        services = {WEB.identity: WEB_COUNTS, probes.identity: service_counts(number)}
        return Snapshot(table, Statistics(services, {ONE.identity: A, there.identity: destination_counts(number)}))

    sampler = Sampler()
    told = [sampler.take(it) for it in (counted(1), counted(2), reading((ONE, A), web=WEB_COUNTS))]
    assert {it.identity for each in told for it in (*each.services, *each.destinations)} == {WEB.identity, ONE.identity}
    assert [each.gone for each in told] == [(), (), ()]
