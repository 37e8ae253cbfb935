"""Events wait on disk, in order, until they are acknowledged."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lbminion.spool import NOTHING, READ_BYTES, RECENT, RECENT_BYTES, Spool
from lbminion.store import open_store
from lbwire.events import KeepalivedStarted, MinionStarted


def spool(directory: Path, committed: list[int] | None = None) -> Spool:
    counter = committed if committed is not None else []
    return Spool(open_store(directory), lambda: counter.append(1))


async def test_events_are_on_disk_before_committed_is_called(tmp_path: Path) -> None:
    """What was told to be sent survives the process."""
    calls: list[int] = []
    first = spool(tmp_path, calls)
    event = first.add(MinionStarted("x"), "netology")
    assert first.after(NOTHING, 10) == []
    await asyncio.sleep(0)
    assert calls == [1]
    assert spool(tmp_path).after(NOTHING, 10) == [event]


async def test_events_of_one_pass_of_the_loop_are_committed_together(tmp_path: Path) -> None:
    """A burst costs one transaction."""
    calls: list[int] = []
    store = spool(tmp_path, calls)
    events = [store.add(KeepalivedStarted(str(number))) for number in range(100)]
    await asyncio.sleep(0)
    assert calls == [1]
    assert store.after(NOTHING, 1000) == events


async def test_a_full_disk_keeps_what_was_acknowledged_and_goes_on(tmp_path: Path) -> None:
    """An acknowledgement comes from the link's reader, which must not end by it; the next one makes up for it."""
    store = spool(tmp_path)
    events = [store.add(KeepalivedStarted(str(number))) for number in range(3)]
    store.flush()
    store._connection.execute("PRAGMA query_only = ON")
    store.acknowledged((store.boot, 1))
    assert store.oldest() == (store.boot, 1)
    store._connection.execute("PRAGMA query_only = OFF")
    store.acknowledged((store.boot, 2))
    assert store.oldest() == (store.boot, events[2].sequence)


async def test_a_restart_begins_a_boot_above_every_earlier_one(tmp_path: Path) -> None:
    """(boot, sequence) is never used twice, and order is kept over restarts."""
    boots = []
    for _ in range(5):
        store = spool(tmp_path)
        store.add(MinionStarted("x"))
        store.flush()
        boots.append(store.boot)
    assert boots == sorted(set(boots))
    assert [event.boot for event in store.after(NOTHING, 10)] == boots


async def test_a_clock_set_back_does_not_bring_a_boot_number_back(tmp_path: Path) -> None:
    """The clock only helps after the disk was wiped; the number on the disk counts."""
    connection = open_store(tmp_path)
    first = Spool(connection, lambda: None)
    from lbwire.codec import pack

    future = first.boot + 10**12
    connection.execute("UPDATE kept SET value = ? WHERE key = 'boot'", (pack(future),))
    assert Spool(connection, lambda: None).boot == future + 1


async def test_what_is_acknowledged_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    """The rest keeps its order and its identity."""
    store = spool(tmp_path)
    events = [store.add(KeepalivedStarted(str(number))) for number in range(10)]
    store.flush()
    store.acknowledged((store.boot, 4))
    assert store.after(NOTHING, 100) == events[4:]
    assert store.oldest() == (store.boot, 5)
    store.acknowledged((store.boot, 10))
    assert store.oldest() == NOTHING


async def test_an_acknowledgement_of_something_older_changes_nothing(tmp_path: Path) -> None:
    """As after a master was restored from an old backup."""
    store = spool(tmp_path)
    events = [store.add(KeepalivedStarted(str(number))) for number in range(3)]
    store.flush()
    store.acknowledged((1, 999))
    assert store.after(NOTHING, 100) == events


async def test_what_is_read_from_memory_is_what_is_on_the_disk(tmp_path: Path) -> None:
    """From every position, over the edge between the two, and after a restart."""
    first = spool(tmp_path)
    old = [first.add(KeepalivedStarted(str(number))) for number in range(3)]
    first.flush()
    store = spool(tmp_path)
    events = [store.add(KeepalivedStarted(str(number))) for number in range(RECENT + 10)]
    store.flush()
    everything = old + events
    positions = [NOTHING, *((event.boot, event.sequence) for event in everything), (store.boot, 0), (store.boot + 1, 5)]
    for position in positions[:20] + positions[-20:]:
        later = [event for event in everything if (event.boot, event.sequence) > position]
        assert store.after(position, 7) == later[:7], position


async def test_large_events_are_read_a_few_at_a_time_and_do_not_stay_in_memory(tmp_path: Path) -> None:
    """A table of ten thousand entries that is emptied again and again must still fit into messages."""
    store = spool(tmp_path)
    events = [store.add(KeepalivedStarted(str(number) * (READ_BYTES // 2))) for number in range(30)]
    store.flush()
    assert sum(len(event.data["by"]) for event, _ in store._recent) <= RECENT_BYTES
    position, found = NOTHING, []
    while some := store.after(position, 500):
        assert len(some) <= 4
        found += some
        position = (some[-1].boot, some[-1].sequence)
    assert found == events


async def test_an_event_that_is_larger_than_what_is_read_at_once_is_read_alone(tmp_path: Path) -> None:
    """It is not skipped."""
    store = spool(tmp_path)
    events = [store.add(KeepalivedStarted("x" * 2 * READ_BYTES)) for _ in range(2)]
    store.flush()
    assert store.after(NOTHING, 500) == events[:1]
    assert store.after((store.boot, 1), 500) == events[1:]
