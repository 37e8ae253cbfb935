"""A spool without room: what goes, what stays, and what is told of it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbminion import spool as module
from lbminion.spool import NOTHING, Spool
from lbminion.store import SCHEMA, open_store
from lbwire.codec import pack
from lbwire.event_types import decode_data
from lbwire.events import Data, DriftGone, EventsLost, MinionStarted, StateStaged, VrrpTransition
from lbwire.messages import Event

LIMIT = 100_000
COMMENT = DriftGone(())
STAGED = StateStaged(1, ())
TRANSITION = VrrpTransition("www", "MASTER", "BACKUP", 100, ("10.0.0.100/24",))


def spool(folder: Path, limit: int = LIMIT) -> Spool:
    return Spool(open_store(folder), lambda: None, limit)


def everything(of: Spool) -> list[Event]:
    """Read it as a delivery does."""
    found: list[Event] = []
    position = NOTHING
    while some := of.after(position, 500):
        found += some
        position = (some[-1].boot, some[-1].sequence)
    return found


def loss(event: Event) -> EventsLost:
    data = decode_data(event.type, event.data)
    assert isinstance(data, EventsLost)
    return data


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("minion.sqlite*"))


async def fill(of: Spool, data: Data, count: int) -> None:
    for _ in range(count):
        of.add(data)
        of.flush()


async def test_comments_go_first_then_ordinary_events_and_no_transition(tmp_path: Path) -> None:
    """However long the master is away."""
    store = spool(tmp_path)
    for _ in range(300):
        await fill(store, COMMENT, 5)
        await fill(store, TRANSITION, 1)
    found = everything(store)
    assert sum(event.type == TRANSITION.TYPE for event in found) == 300
    comments = sum(event.type == COMMENT.TYPE for event in found)
    (lost,) = [loss(event) for event in found if event.type == EventsLost.TYPE]
    assert lost.types == {COMMENT.TYPE: 1500 - comments}
    assert lost.count == 1500 - comments > 0
    assert store._bytes <= LIMIT


async def test_a_loss_costs_one_row_and_stands_behind_what_it_counts(tmp_path: Path) -> None:
    """What is left of the comments are the newest, all behind it; its time is the last one's."""
    store = spool(tmp_path)
    await fill(store, COMMENT, 3000)
    found = everything(store)
    assert [event.type for event in found] == [EventsLost.TYPE] + [COMMENT.TYPE] * (len(found) - 1)
    lost = loss(found[0])
    assert found[0].sequence == lost.count
    assert [event.sequence for event in found[1:]] == list(range(lost.count + 1, 3001))
    assert lost.since < lost.until == found[0].time < found[1].time


async def test_ordinary_events_go_when_no_comments_are_left(tmp_path: Path) -> None:
    """One loss counts both."""
    store = spool(tmp_path)
    await fill(store, COMMENT, 50)
    await fill(store, STAGED, 2000)
    (lost,) = [loss(event) for event in everything(store) if event.type == EventsLost.TYPE]
    assert lost.types[COMMENT.TYPE] == 50
    assert lost.types[STAGED.TYPE] > 0


async def test_transitions_alone_may_take_twice_the_room_then_the_oldest_go(tmp_path: Path) -> None:
    """A bound is a bound; what is left tells how things are now."""
    store = spool(tmp_path)
    await fill(store, TRANSITION, 2000)
    found = everything(store)
    assert LIMIT * 1.9 < store._bytes <= 2 * LIMIT
    lost = loss(found[0])
    assert lost.types == {TRANSITION.TYPE: 2000 - len(found) + 1}
    assert [event.type for event in found[1:]] == [TRANSITION.TYPE] * (len(found) - 1)
    await fill(store, COMMENT, 1)
    assert store.after((store.boot, 2000), 10)[0].type == EventsLost.TYPE


async def test_what_may_be_under_way_is_not_given_up_and_a_loss_that_was_sent_does_not_change(tmp_path: Path) -> None:
    """The master may have it: the same identity must not mean two things, and what arrived is not lost."""
    store = spool(tmp_path)
    await fill(store, COMMENT, 3000)
    sent = store.after(NOTHING, 10)
    await fill(store, COMMENT, 3000)
    assert store.after(NOTHING, 10)[: len(sent)] == sent
    losses = [event for event in everything(store) if event.type == EventsLost.TYPE]
    assert len(losses) == 2
    kept = sum(event.type == COMMENT.TYPE for event in everything(store))
    assert sum(loss(event).count for event in losses) + kept == 6000


async def test_the_next_minion_merges_the_loss_of_the_last_one(tmp_path: Path) -> None:
    """A minion that restarts in an outage does not leave a row each time, beside its own start."""
    store = spool(tmp_path)
    for _ in range(5):
        await fill(store, MinionStarted("x"), 1)
        await fill(store, COMMENT, 2000)
        store = spool(tmp_path)
    found = everything(store)
    losses = [loss(event) for event in found if event.type == EventsLost.TYPE]
    assert len(losses) <= 2
    assert sum(one.count for one in losses) + len(found) - len(losses) == 5 * 2001


async def test_a_loss_is_filed_under_the_cluster_of_all_that_it_counts(tmp_path: Path) -> None:
    """Or under none, so that nobody takes it for another's."""
    store = spool(tmp_path)
    for _ in range(2000):
        store.add(COMMENT, "web")
        store.flush()
    assert store.after(NOTHING, 1)[0].cluster == "web"
    store.acknowledged((store.boot, 2000))
    for number in range(2000):
        store.add(COMMENT, "web" if number % 2 else "")
        store.flush()
    assert store.after((store.boot, 2000), 1)[0].cluster == ""


async def test_the_file_stays_near_its_bound(tmp_path: Path) -> None:
    """Pages that are half empty and the write-ahead log included."""
    limit = 2 * 1024 * 1024
    store = spool(tmp_path, limit)
    for _ in range(200):
        for _ in range(100):
            store.add(COMMENT)
            store.add(TRANSITION)
        store.flush()
    assert store._bytes <= 2 * limit
    assert on_disk(tmp_path) < 3 * limit + 8 * 1024 * 1024


async def test_a_full_spool_costs_little_for_each_event(tmp_path: Path) -> None:
    """It is full for as long as the master is away, and the host has other things to do."""
    limit = 8 * 1024 * 1024
    store = spool(tmp_path, limit)
    for _ in range(60_000):
        store.add(TRANSITION)
    store.flush()
    (tmp_path / "empty").mkdir()
    assert cost(store) < 20 * cost(spool(tmp_path / "empty", limit))
    assert store._bytes <= 2 * limit


def cost(store: Spool) -> float:
    """Spool some events, each for itself; give the CPU time that it took."""
    began = time.process_time()
    for _ in range(2000):
        store.add(COMMENT)
        store.flush()
    return time.process_time() - began


async def test_the_count_of_bytes_is_true_after_a_restart_and_an_acknowledgement(tmp_path: Path) -> None:
    """A bound that drifts is none."""
    store = spool(tmp_path)
    await fill(store, TRANSITION, 100)
    assert spool(tmp_path)._bytes == store._bytes
    store.acknowledged((store.boot, 60))
    assert spool(tmp_path)._bytes == store._bytes
    store.acknowledged((store.boot, 100))
    assert store._bytes == 0


# --- a disk that takes nothing --------------------------------------------------------------------------------------


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[Spool]:
    """A spool whose database refuses to be written (tests/netns has one on a disk that is really full)."""
    store = spool(tmp_path, 64 * 1024 * 1024)
    store._connection.execute("PRAGMA query_only = ON")
    yield store
    store._connection.close()


async def test_what_the_disk_refuses_is_sent_from_memory(refused: Spool) -> None:
    """A full disk does not keep a transition from the master."""
    event = refused.add(TRANSITION)
    await asyncio.sleep(0)
    assert [(one.sequence, one.type) for one in refused.after(NOTHING, 10)] == [(event.sequence, event.type)]
    assert refused.oldest() == (refused.boot, 1)
    refused.acknowledged((refused.boot, 1))
    assert refused.after(NOTHING, 10) == []


async def test_what_waits_in_memory_is_bounded_and_keeps_transitions(
    refused: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rule as on the disk."""
    monkeypatch.setattr(module, "MEMORY_LIMIT", LIMIT)
    for _ in range(2000):
        await fill(refused, COMMENT, 3)
        if refused._sequence % 30 == 0:
            await fill(refused, TRANSITION, 1)
    transitions = refused._sequence - 6000
    assert sum(one.size for one in refused._waiting) <= LIMIT
    found = everything(refused)
    assert sum(event.type == TRANSITION.TYPE for event in found) == transitions > 0
    (lost,) = [loss(event) for event in found if event.type == EventsLost.TYPE]
    assert lost.count + len(found) - 1 == refused._sequence


async def test_what_waited_is_on_the_disk_in_order_when_that_has_room_again(
    refused: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next minion finds it there."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    await fill(refused, TRANSITION, 50)
    refused._connection.execute("PRAGMA query_only = OFF")
    await fill(refused, COMMENT, 1)
    assert not refused._waiting
    assert [event.sequence for event in everything(spool(tmp_path))] == list(range(1, 52))


async def test_a_minion_starts_although_its_boot_number_cannot_be_kept(tmp_path: Path) -> None:
    """Transitions of a host whose disk is full are worth more."""
    connection = open_store(tmp_path)
    first = Spool(connection, lambda: None)
    connection.execute("PRAGMA query_only = ON")
    assert Spool(connection, lambda: None).boot > first.boot


# --- an earlier release's disk ---------------------------------------------------------------------------------------


def test_events_of_an_earlier_release_are_kept_and_its_transitions_are_vital(tmp_path: Path) -> None:
    """The upgrade may come in the middle of an outage."""
    old = SCHEMA.replace(", worth INTEGER NOT NULL DEFAULT 1", "").partition("CREATE INDEX")[0]
    with sqlite3.connect(tmp_path / "minion.sqlite") as database:
        database.executescript(old + "PRAGMA user_version = 1;")
        for number, name in enumerate(("vrrp.transition", "drift.found"), 1):
            row = {"boot": 1, "sequence": number, "type": name, "time": 1.0, "cluster": "", "data": {}}
            database.execute("INSERT INTO event VALUES (?, ?, ?)", (1, number, pack(row)))
    database.close()
    connection = open_store(tmp_path)
    assert connection.execute("SELECT sequence, worth FROM event ORDER BY sequence").fetchall() == [(1, 2), (2, 1)]
    assert [event.type for event in Spool(connection, lambda: None).after(NOTHING, 5)] == [
        "vrrp.transition",
        "drift.found",
    ]
