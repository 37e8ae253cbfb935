"""The master's own events while its disk takes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lbmaster import own_events as module
from lbmaster.bus import Bus
from lbmaster.own_events import OwnEvents
from lbmaster.store import MIGRATIONS, SCHEMA, VERSION, Store
from lbservice.database import open_database
from lbwire.conclusions import Failover, KeyPending, MinionOnline

FAILOVER = Failover("www", (), "d1", "d2", 0.1, {}, ())


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return open_database(tmp_path / "store.sqlite", SCHEMA, VERSION, MIGRATIONS)


def refuse(connection: sqlite3.Connection, *, writes: bool) -> None:
    connection.execute(f"PRAGMA query_only = {'ON' if writes else 'OFF'}")


def test_they_wait_for_the_disk_and_are_journalled_in_order(connection: sqlite3.Connection) -> None:
    """A failover that happened while the disk was full is in the journal when it has room."""
    store = Store(connection)
    bus = Bus(store.journal)
    own = OwnEvents(bus, store.boot)
    refuse(connection, writes=True)
    for _ in range(3):
        own.add(FAILOVER)
    own.journal()
    assert bus.page(0) == []
    refuse(connection, writes=False)
    own.add(MinionOnline("x", "d1"))
    assert [record.type for record in bus.page(0)] == ["failover"] * 3 + ["minion.online"]
    assert [record.sequence for record in bus.page(0)] == [1, 2, 3, 4]


def test_a_tick_is_enough_when_nothing_else_happens(connection: sqlite3.Connection) -> None:
    """Subscribers are told then."""
    store = Store(connection)
    own = OwnEvents(Bus(store.journal), store.boot)
    refuse(connection, writes=True)
    own.add(FAILOVER)
    refuse(connection, writes=False)
    own.journal()
    assert store.journal.last == 1


def test_beyond_the_bound_the_least_important_are_lost_and_counted(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the failovers; the count stands behind what was kept."""
    monkeypatch.setattr(module, "MOST", 10)
    store = Store(connection)
    bus = Bus(store.journal)
    own = OwnEvents(bus, store.boot)
    refuse(connection, writes=True)
    for _ in range(8):
        own.add(KeyPending("f", "h"))
        own.add(FAILOVER)
    refuse(connection, writes=False)
    own.journal()
    found = bus.page(0)
    assert [record.type for record in found].count("failover") == 8
    assert found[-1].type == "events.lost"
    assert found[-1].fields()["types"] == {"key.pending": 6}
    assert len(found) == 11
