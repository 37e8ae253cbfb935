"""The event journal: every event once, in the order in which it came to the master, found again by its cursor."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from lbservice.database import transaction

MASTER: Final = ""
"""The name under which the master's own events stand."""
MASTER_ENROLMENT: Final = 0

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


class Journal:
    """Appends and pages. What belongs into it is decided by whoever appends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
        self.last: int = row[0] if row else 0

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Commit events, with the position of each minion behind its last one, in one transaction.

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
        with transaction(self._connection):
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
        return records

    def positions(self) -> dict[int, Position]:
        """Tell, for each enrolment, the last event that is in the journal."""
        rows = self._connection.execute("SELECT id, boot, sequence FROM enrolment")
        return {enrolment: (boot, sequence) for enrolment, boot, sequence in rows}

    def page(self, after: int, limit: int) -> list[Record]:
        """Read at most `limit` events that follow a cursor, oldest first."""
        query = f"SELECT {_COLUMNS} FROM journal WHERE cursor > ? ORDER BY cursor LIMIT ?"  # noqa: S608 - constant
        return _records(self._connection.execute(query, (after, limit)))

    def page_before(self, before: int, limit: int) -> list[Record]:
        """Read at most `limit` events that precede a cursor, newest first."""
        query = f"SELECT {_COLUMNS} FROM journal WHERE cursor < ? ORDER BY cursor DESC LIMIT ?"  # noqa: S608 - constant
        return _records(self._connection.execute(query, (before, limit)))


def _records(rows: Iterable[tuple[Any, ...]]) -> list[Record]:
    return [
        Record(cursor, minion, boot, sequence, event_type, time, received, cluster, msgspec.Raw(data))
        for cursor, minion, boot, sequence, event_type, time, received, cluster, data in rows
    ]
