"""The journal's bound: what goes first, and what subscribers are told who ask for what went."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lbmaster.bus import Bus
from lbmaster.follow import Wanted, past, stream
from lbmaster.journal import MASTER_ENROLMENT, Entry, Journal, Record
from lbmaster.retention import DAY, STEP, Retention
from lbmaster.store import open_store

from .conftest import WEB, Site

NOW = 1_000_000_000.0
COMMENT, STAGED, FAILOVER = "drift.found", "state.staged", "failover"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return open_store(tmp_path / "store.sqlite").journal


def add(journal: Journal, *types: str, received: float = NOW, data: bytes = b"{}") -> list[Record]:
    return journal.append([
        Entry(MASTER_ENROLMENT, "", 1, number, event_type, received, received, "", data)
        for number, event_type in enumerate(types, journal.last + 1)
    ])  # fmt: skip


def prune(journal: Journal, days: float = 90, most: int = 10**6, now: float = NOW) -> int:
    """Prune until there is nothing more to do; returns the number of steps."""
    retention, steps = Retention(journal, days, most), 1
    while retention.step(now):
        steps += 1
        assert steps < 10_000
    return steps


def kept(journal: Journal) -> list[Record]:
    return journal.page(0, 10**6)


def types(records: list[Record]) -> list[str]:
    return [record.type for record in records]


def read(journal: Journal, **wanted: Any) -> list[Record]:
    """Ask for what there is."""
    found: list[Record] = []

    async def send(records: list[Record]) -> None:
        found.extend(records)

    asyncio.run(past(Bus(journal), msgspec.convert(wanted, Wanted), send))
    return found


def test_what_is_too_old_goes_and_nothing_else(journal: Journal) -> None:
    """In steps, whatever it is worth."""
    add(journal, *[FAILOVER, COMMENT] * 1000, received=NOW - 2 * DAY)
    add(journal, *[COMMENT] * 10, received=NOW - DAY + 60)
    assert prune(journal, days=1) > 3
    assert types(kept(journal)) == [COMMENT] * 10
    assert journal.kept == 10


def test_of_what_is_too_much_comments_go_first_the_oldest_first(journal: Journal) -> None:
    """A host that flaps does not push the failovers out."""
    add(journal, *[FAILOVER, *[COMMENT] * 9] * 1000)
    prune(journal, most=1500)
    found = kept(journal)
    assert len(found) == journal.kept == 1500
    assert types(found).count(FAILOVER) == 1000
    comments = [record.cursor for record in found if record.type == COMMENT]
    assert comments == [cursor for cursor in range(1, 10_001) if cursor % 10 != 1][-500:]


def test_a_bound_is_a_bound_for_what_matters_too(journal: Journal) -> None:
    """Comments, ordinary ones, then the oldest of the rest."""
    add(journal, *[FAILOVER, COMMENT, STAGED] * 1000)
    prune(journal, most=600)
    assert types(kept(journal)) == [FAILOVER] * 600
    assert kept(journal)[0].cursor == 3 * 400 + 1


def test_what_comes_after_a_pruning_is_pruned_in_its_turn(journal: Journal) -> None:
    """The one that prunes remembers where it was."""
    retention = Retention(journal, 90, 1000)
    for _ in range(20):
        add(journal, *[COMMENT] * 300, *[FAILOVER] * 10)
        while retention.step(NOW):
            pass
        assert journal.kept <= 1000
    assert types(kept(journal)).count(FAILOVER) == 200


def test_a_step_is_short(journal: Journal) -> None:
    """However much there is to do, one step forgets a bounded number of events: no minion waits for the journal."""
    for _ in range(20):
        add(journal, *[COMMENT, *[FAILOVER] * 99] * 50)
    retention = Retention(journal, 90, 1000)
    more = True
    while more:
        before = journal.kept
        more = retention.step(NOW)
        assert 0 <= before - journal.kept <= STEP
    assert journal.kept == 1000


def test_cursors_go_on_and_what_was_pruned_is_remembered_over_a_restart(tmp_path: Path) -> None:
    """No cursor is used twice, also when nothing is left."""
    store = open_store(tmp_path / "store.sqlite")
    add(store.journal, *[COMMENT] * 50, received=NOW - 2 * DAY)
    prune(store.journal, days=1)
    store.close()
    journal = open_store(tmp_path / "store.sqlite").journal
    assert (journal.kept, journal.last, journal.pruned[COMMENT].count) == (0, 50, 50)
    assert add(journal, FAILOVER)[0].cursor == 51
    lost, event = read(journal, since=0)
    assert (lost.type, lost.fields()["count"], event.cursor) == ("events.lost", 50, 51)


# --- what subscribers are told --------------------------------------------------------------------------------------


def test_who_asks_for_a_pruned_cursor_is_told_once_in_its_place(journal: Journal) -> None:
    """With a cursor that follows the one that was asked for, and precedes the next event: to resume from."""
    add(journal, *[FAILOVER, *[COMMENT] * 9] * 100)
    prune(journal, most=150)
    found = read(journal, since=11)
    assert types(found).count("events.lost") == 1
    assert [record.cursor for record in found] == sorted({record.cursor for record in found})
    assert found[0].type == "events.lost"
    assert (found[0].minion, found[0].boot, found[0].sequence, found[0].cursor) == ("", 0, 0, 20)
    pruned = 850 - 9
    assert found[0].fields() == {"count": pruned, "types": {COMMENT: pruned}, "since": NOW, "until": NOW}
    assert len(found) - 1 + pruned == 1000 - 11
    assert "events.lost" not in types(read(journal, since=found[0].cursor + 1000))


def test_who_resumes_behind_what_he_was_told_is_not_told_again(journal: Journal) -> None:
    """From the cursor of the loss itself, too."""
    add(journal, *[COMMENT] * 2000, FAILOVER)
    prune(journal, most=1000)
    lost = read(journal, since=0)[0]
    assert lost.cursor == 1001
    again = read(journal, since=lost.cursor)
    assert "events.lost" not in types(again)
    assert again[0].cursor == 1002


def test_who_wants_other_types_than_were_pruned_is_not_told(journal: Journal) -> None:
    """An alert on failovers does not go off because comments were pruned."""
    add(journal, *[COMMENT] * 2000, FAILOVER)
    prune(journal, most=1000)
    assert types(read(journal, since=0, types=["failover"])) == [FAILOVER]
    assert types(read(journal, since=0, types=["drift.*"]))[0] == "events.lost"
    assert read(journal, since=0, hosts=["d1"])[0].type == "events.lost"


def test_a_loss_at_the_end_is_told_as_well(journal: Journal) -> None:
    """Nothing follows it yet."""
    add(journal, *[FAILOVER] * 1500, *[COMMENT] * 100)
    prune(journal, most=1500)
    found = read(journal, since=1400)
    assert types(found) == [FAILOVER] * 100 + ["events.lost"]
    assert found[-1].cursor == 1600


def test_the_newest_events_are_given_without_a_word_of_older_ones(journal: Journal) -> None:
    """Nobody asked for those."""
    add(journal, *[COMMENT] * 2000)
    prune(journal, most=1000)
    assert types(read(journal, limit=5)) == [COMMENT] * 5


async def test_a_follower_whom_the_pruning_overtakes_is_told(journal: Journal) -> None:
    """Each time that it does, in order."""
    bus = Bus(journal)
    bus.publish(add(journal, *[COMMENT] * 2500))
    found: list[Record] = []
    reading, more = asyncio.Event(), asyncio.Event()

    async def send(records: list[Record]) -> None:
        found.extend(records)
        reading.set()
        await more.wait()

    following = asyncio.create_task(stream(bus, Wanted(since=0, follow=True), send))
    await reading.wait()
    prune(journal, most=1000)
    bus.publish(add(journal, *[FAILOVER] * 3000))
    more.set()
    while not found or found[-1].cursor != 5500:
        await asyncio.sleep(0)
    following.cancel()
    lost = [record for record in found if record.type == "events.lost"]
    assert [record.cursor for record in found] == sorted({record.cursor for record in found})
    assert len(found) - len(lost) + sum(record.fields()["count"] for record in lost) == 5500
    assert len(lost) == 1


async def test_a_search_in_a_long_journal_lets_others_have_their_turn(journal: Journal) -> None:
    """A filter that nothing passes used to keep the master for as long as the journal is long."""
    for _ in range(10):
        add(journal, *[COMMENT] * 2000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def send(_: list[Record]) -> None:
        raise AssertionError("nothing fits")

    others_task = asyncio.create_task(others())
    await past(Bus(journal), Wanted(since=0, types=("of.tomorrow",)), send)
    others_task.cancel()
    assert turns >= 100


def test_a_page_of_large_events_is_short(journal: Journal) -> None:
    """Each slow subscriber has one in memory."""
    add(journal, *[COMMENT] * 100, data=b'{"x": "' + b"x" * 200_000 + b'"}')
    assert len(journal.page(0, 200)) < 10
    assert journal.page(99, 200)[0].cursor == 100


async def test_the_master_prunes_by_itself_and_pushes_go_on(site: Site) -> None:
    """With the settings of master.toml; a subscriber over the socket is told."""
    await site.cluster()
    last = (await site.events())[-1]["cursor"]
    await site.stop()
    with sqlite3.connect(site.config.database) as database:
        database.execute("UPDATE journal SET received = received - 91 * 86400")
    database.close()
    for minion in site.minions.values():
        await minion.close()
    await site.start()
    for minion in site.minions.values():
        minion.boot, minion.last = minion.boot + 1, (0, 0)
        minion.connect(site.ports, site.server_key)
    result = await site.ask("push", text=WEB)
    assert result["outcome"] == "converged"
    first, *rest = await site.events()
    assert (first["type"], first["cursor"]) == ("events.lost", last)
    assert first["data"]["count"] == last
    assert min(event["cursor"] for event in rest) == last + 1
