"""A minion that was copied with its key (a cloned virtual machine): it is seen, and the two do not fight."""

from __future__ import annotations

import pytest

from lbmaster.routes import AGAIN_SECONDS, SETTLED_SECONDS, Doubled, Routes
from lbwire.events import MinionStarted
from tests.master.conftest import Site, eventually
from tests.master.fake_minion import FakeMinion


@pytest.mark.pitfall("S10")
async def test_a_copied_minion_is_reported_and_only_the_first_is_heard(site: Site) -> None:
    """Both addresses stand in the event and in the status; what the copy says changes nothing."""
    await site.cluster()
    first = site.minions["r1"]
    copy = FakeMinion("r1", first.keys)
    copy.inbox, copy.memory, copy.boot = first.inbox, first.memory, 1000
    copy.connect(site.ports, site.server_key)
    copy.report(MinionStarted("copy"))
    site.minions["copy"] = copy
    found = await site.event("minion.duplicate")
    assert (found["data"]["host"], found["data"]["addresses"]) == ("r1", ["127.0.0.1", "127.0.0.1"])
    copy.report(MinionStarted("copy"))
    first.report(MinionStarted("first"))
    await eventually(lambda: first.acks and first.acks[-1] >= (1, 3))
    assert "copy" not in [event["data"]["product"] for event in await site.events("minion.started")]
    note = (await site.ask("status"))["clusters"]["web"]["hosts"]["r1"]["note"]
    assert "two hosts use its key" in note
    (between,) = (await site.ask("doctor", timeout=0.5))["clusters"]["web"]["between"]
    assert (between["id"], between["hosts"]) == ("S10", ["r1"])
    assert not await site.events("minion.lost")


def test_a_minion_that_connects_anew_is_no_copy() -> None:
    """However often it does, and with what its old connection had left in its queue."""
    routes = Routes()
    for number in range(100):
        routes.gone("a", b"%d" % (number - 1))
        assert routes.heard("a", b"%d" % number, "192.0.2.1", number / 10) == ("all", None)
    assert routes.heard("a", b"98", "192.0.2.1", 10.0) == ("not events", None)
    assert routes.heard("a", b"99", "192.0.2.1", 10.1) == ("all", None)
    assert routes.of("a") == b"99"


def test_no_event_of_a_connection_counts_that_may_be_a_copys() -> None:
    """The copy has a later boot: with one event of it journalled, those of the first would be taken for known ones."""
    routes = Routes()
    for second in range(3):
        assert routes.heard("a", b"first", "192.0.2.1", float(second))[0] == "all"
        assert routes.heard("a", b"copy", "192.0.2.2", second + 0.5)[0] in ("not events", "nothing")


def test_a_connection_whose_end_was_not_seen_holds_up_events_for_a_moment_only() -> None:
    """A minion behind a network that was cut comes back by another connection."""
    routes = Routes()
    routes.heard("a", b"old", "192.0.2.1", 0.0)
    assert routes.heard("a", b"new", "192.0.2.1", 1.0) == ("not events", None)
    assert routes.heard("a", b"new", "192.0.2.1", SETTLED_SECONDS + 0.1) == ("all", None)


def test_the_copy_is_heard_once_the_first_is_silent() -> None:
    """The operator stopped one of them: the other is the minion then, and it is said that it is over."""
    routes = Routes()
    told = [routes.heard("a", route, address, second)[1] for second in range(4) for route, address in (
        (b"1", "192.0.2.1"), (b"2", "192.0.2.2"),
    )]  # fmt: skip
    assert [it for it in told if it] == [Doubled("a", ("192.0.2.1", "192.0.2.2"))]
    assert routes.heard("a", b"2", "192.0.2.2", 5.0) == ("nothing", None)
    assert routes.of("a") == b"1"
    assert routes.heard("a", b"2", "192.0.2.2", 20.0) == ("all", Doubled("a", ()))
    assert routes.of("a") == b"2"


@pytest.mark.parametrize(("seconds", "times"), [(AGAIN_SECONDS / 2, 1), (AGAIN_SECONDS * 2.5, 3)])
def test_it_is_told_again_as_long_as_it_lasts(seconds: float, times: int) -> None:
    """But not at every message."""
    routes = Routes()
    told = []
    for second in range(round(seconds)):
        told += [routes.heard("a", route, "192.0.2.1", float(second))[1] for route in (b"1", b"2")]
    assert len([it for it in told if it]) == times
