"""The event journal: every event once, in the order in which it came to the master, found again by its cursor.

Cursors have no holes but those that pruning leaves; what was pruned is remembered by its type. When that happens, and of
what, is decided in `retention`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from lbservice.database import transaction

MASTER: Final = ""
"""The name under which the master's own events stand."""
MASTER_ENROLMENT: Final = 0

PAGE_BYTES: Final = 1024 * 1024
"""A page ends with the event that goes beyond this."""

_COLUMNS: Final = "cursor, minion, boot, sequence, type, time, received, cluster, data"

Position = tuple[int, int]
"""(boot, sequence); (0, 0) lies before every event."""


class Entry(msgspec.Struct, frozen=True):
    """An event on its way into the journal; `data` is JSON, as subscribers get it."""

    enrolment: int
    minion: str
    boot: int
    sequence: int
    type: str
    time: float
    received: float
    cluster: str
    data: bytes


class Record(msgspec.Struct, frozen=True):
    """An event in the journal."""

    cursor: int
    minion: str
    boot: int
    sequence: int
    type: str
    time: float
    received: float
    cluster: str
    data: msgspec.Raw

    def fields(self) -> dict[str, Any]:
        """Decode the data."""
        decoded: dict[str, Any] = msgspec.json.decode(self.data)
        return decoded


class Pruned(msgspec.Struct, frozen=True):
    """What is no longer kept of one type: how many, the last one's cursor, when the first and last were journalled."""

    count: int
    cursor: int
    since: float
    until: float


class Old(NamedTuple):
    """An event that may be pruned."""

    cursor: int
    type: str
    received: float


class Journal:
    """Appends, pages, and forgets. What belongs into it, and for how long, is decided by whoever asks.

    `kept` is how many events there are, `pruned` what is no longer there, by type.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
        self.last: int = row[0] if row else 0
        self.kept: int = connection.execute("SELECT count(*) FROM journal").fetchone()[0]
        rows = connection.execute("SELECT type, count, cursor, since, until FROM pruned")
        self.pruned: dict[str, Pruned] = {event_type: Pruned(*of) for event_type, *of in rows}

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Commit events, with the position of each minion behind its last one, in one transaction that survives a power cut.

        What is acknowledged is kept by nobody else, and a cursor that a subscriber has seen must not come again.
        Raises `sqlite3.Error`; then nothing was appended.
        """
        records = [
            Record(
                cursor, entry.minion, entry.boot, entry.sequence, entry.type, entry.time, entry.received,
                entry.cluster, msgspec.Raw(entry.data),
            )
            for cursor, entry in enumerate(entries, self.last + 1)
        ]  # fmt: skip
        positions = {e.enrolment: (e.boot, e.sequence, e.enrolment) for e in entries if e.enrolment != MASTER_ENROLMENT}
        with transaction(self._connection, durable=True):
            self._connection.executemany(
                "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (cursor, e.enrolment, e.boot, e.sequence, e.minion, e.type, e.time, e.received, e.cluster, e.data)
                    for cursor, e in enumerate(entries, self.last + 1)
                ],
            )
            self._connection.executemany(
                "UPDATE enrolment SET boot = ?, sequence = ? WHERE id = ?", list(positions.values())
            )
        self.last += len(entries)
        self.kept += len(entries)
        return records

    def positions(self) -> dict[int, Position]:
        """Tell, for each enrolment, the last event that is in the journal."""
        rows = self._connection.execute("SELECT id, boot, sequence FROM enrolment")
        return {enrolment: (boot, sequence) for enrolment, boot, sequence in rows}

    def page(self, after: int, limit: int) -> list[Record]:
        """Read at most `limit` events that follow a cursor, oldest first; fewer if they are large."""
        query = f"SELECT {_COLUMNS} FROM journal WHERE cursor > ? ORDER BY cursor LIMIT ?"  # noqa: S608 - constant
        return _records(self._connection.execute(query, (after, limit)))

    def page_before(self, before: int, limit: int) -> list[Record]:
        """Read at most `limit` events that precede a cursor, newest first."""
        query = f"SELECT {_COLUMNS} FROM journal WHERE cursor < ? ORDER BY cursor DESC LIMIT ?"  # noqa: S608 - constant
        return _records(self._connection.execute(query, (before, limit)))

    # --- what is not kept -------------------------------------------------------------------------------------------

    def oldest(self, limit: int) -> list[Old]:
        """Name the events that have been here longest."""
        rows = self._connection.execute("SELECT cursor, type, received FROM journal ORDER BY cursor LIMIT ?", (limit,))
        return list(map(Old._make, rows))

    def between(self, after: int, upto: int) -> list[Old]:
        """Name the events that follow a cursor, up to another one."""
        rows = self._connection.execute(
            "SELECT cursor, type, received FROM journal WHERE cursor > ? AND cursor <= ? ORDER BY cursor", (after, upto)
        )
        return list(map(Old._make, rows))

    def count(self, after: int, upto: int) -> int:
        """Count the events that follow a cursor, up to another one."""
        query = "SELECT count(*) FROM journal WHERE cursor > ? AND cursor <= ?"
        found: int = self._connection.execute(query, (after, upto)).fetchone()[0]
        return found

    def prune(self, events: Sequence[Old]) -> None:
        """Forget events, and remember that they were. Raises `sqlite3.Error`; then nothing was forgotten."""
        pruned = dict(self.pruned)
        for event in events:
            before = pruned.get(event.type, Pruned(0, 0, event.received, event.received))
            pruned[event.type] = Pruned(
                before.count + 1, max(before.cursor, event.cursor), min(before.since, event.received),
                max(before.until, event.received),
            )  # fmt: skip
        changed = {event.type: pruned[event.type] for event in events}
        with transaction(self._connection):
            self._connection.executemany("DELETE FROM journal WHERE cursor = ?", [(event.cursor,) for event in events])
            self._connection.executemany(
                "INSERT OR REPLACE INTO pruned (type, count, cursor, since, until) VALUES (?, ?, ?, ?, ?)",
                [(event_type, *msgspec.structs.astuple(of)) for event_type, of in changed.items()],
            )
        self.pruned, self.kept = pruned, self.kept - len(events)


def _records(rows: Iterable[tuple[Any, ...]]) -> list[Record]:
    return list(_as_many_as_fit(rows))


def _as_many_as_fit(rows: Iterable[tuple[Any, ...]]) -> Iterator[Record]:
    size = 0
    for cursor, minion, boot, sequence, event_type, time, received, cluster, data in rows:
        yield Record(cursor, minion, boot, sequence, event_type, time, received, cluster, msgspec.Raw(data))
        size += len(data)
        if size > PAGE_BYTES:
            return
