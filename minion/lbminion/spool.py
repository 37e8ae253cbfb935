"""Events on disk until the master has acknowledged them, as many as there is room for.

An event's identity is (minion, boot, sequence): the boot number grows with every start of the minion, the sequence
with every event of that boot. Events that are raised in one pass of the event loop are committed together, then sent.

Without room for all, events are given up, and `events.lost` says which (`losses`). What may be under way to the master is
not touched: it may have that already. What a full disk refuses waits in memory, with a bound of its own, and is sent from
there: a host's disk must not keep its transitions from the master.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from lbservice.database import transaction
from lbwire.codec import pack, unpack
from lbwire.event_types import encode_data
from lbwire.events import Data
from lbwire.messages import Event
from lbwire.worth import Worth

from .losses import ROW_BYTES, Position, Row, choose, row, told

__all__ = [
    "BATCH",
    "LIMIT",
    "MESSAGES",
    "NOTHING",
    "READ_BYTES",
    "RECENT",
    "RECENT_BYTES",
    "WINDOW",
    "Position",
    "Spool",
]

logger = logging.getLogger(__name__)

LIMIT: Final = 64 * 1024 * 1024
"""Bytes of events on the disk, unless minion.toml says otherwise: some 200,000 of them."""
MEMORY_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of events that wait in memory while the disk takes none."""
RETRY_SECONDS: Final = 1.0
"""How often a disk that took none is tried again."""
CHUNK: Final = 5000
"""Rows of one transaction."""

BATCH: Final = 500
WINDOW: Final = 5000
MESSAGES: Final = 32
"""In flight at most; with `READ_BYTES` for each that bounds what the queues hold, and what must not be given up."""

RECENT: Final = 2000
"""Events that are kept in memory, too, so that what is sent at once need not be read back from the disk."""
RECENT_BYTES: Final = 16 * 1024 * 1024
READ_BYTES: Final = 512 * 1024
"""What is read at once ends with the event that goes beyond this: a message has a limit (`lbwire.codec.LIMIT`)."""

NOTHING: Final[Position] = (0, 0)
_BYTES: Final = f"count(*), count(*) * {ROW_BYTES} + coalesce(sum(length(packed)), 0)"


class Spool:
    """The minion's outgoing events. `committed` is called (without arguments) when new ones are safe to be sent.

    `limit` in bytes; vital events may take twice that.
    """

    def __init__(self, connection: sqlite3.Connection, committed: Callable[[], None], limit: int = LIMIT) -> None:
        self._connection, self._committed, self._limit = connection, committed, limit
        self._read_bytes = min(READ_BYTES, limit // (4 * MESSAGES))
        self._fresh: list[Event] = []
        self._waiting: list[Row] = []
        self._refused_at: float | None = None
        self._recent: deque[tuple[Event, int]] = deque()
        self._recent_bytes = 0
        self._sequence = 0
        self._bytes: int = connection.execute(f"SELECT {_BYTES} FROM event").fetchone()[1]  # noqa: S608 - constant
        self._given = self._may_have_been_given()
        self.boot = self._begin_boot()

    def _begin_boot(self) -> int:
        """Choose a boot number above every earlier one, even if the disk was wiped (hence the clock: ms since 1970)."""
        row = self._connection.execute("SELECT value FROM kept WHERE key = 'boot'").fetchone()
        last = int(unpack(row[0])) if row else 0
        boot = max(last + 1, time.time_ns() // 1_000_000)
        try:
            with transaction(self._connection, durable=True):
                self._connection.execute("INSERT OR REPLACE INTO kept VALUES ('boot', ?)", (pack(boot),))
        except sqlite3.Error as error:
            # The next one is higher all the same, unless the clock is set back meanwhile: better than no minion at all.
            logger.error("the number of this boot cannot be kept: %s; is the disk full?", error)  # noqa: TRY400 - no bug
        return boot

    def _may_have_been_given(self) -> Position:
        """Name the last event that an earlier boot may have sent and that was not acknowledged."""
        found, size = NOTHING, 0
        for boot, sequence, length in self._connection.execute(
            "SELECT boot, sequence, length(packed) FROM event ORDER BY boot, sequence LIMIT ?", (WINDOW + BATCH,)
        ):
            found, size = (boot, sequence), size + length
            if size > 2 * MESSAGES * self._read_bytes:
                break
        return found

    # --- in ---------------------------------------------------------------------------------------------------------

    def add(self, data: Data, cluster: str = "") -> Event:
        """Raise an event. It is on disk, and `committed` called, before the event loop's next pass is over."""
        self._sequence += 1
        event = Event(self.boot, self._sequence, data.TYPE, time.time(), cluster, encode_data(data))
        self._fresh.append(event)
        if len(self._fresh) == 1:
            asyncio.get_running_loop().call_soon(self.flush)
        return event

    def flush(self) -> None:
        """Commit what was added; what the disk does not take (it is full) waits in memory, and may be sent from there."""
        if not self._fresh and not self._waiting:
            return
        fresh, self._fresh = self._fresh, []
        rows = [row(event) for event in fresh]
        known = {one.position: event for one, event in zip(rows, fresh, strict=True)}
        self._waiting += rows
        if self._refused_at is None or time.monotonic() - self._refused_at >= RETRY_SECONDS:
            self._write(known)
        if self._waiting:
            self._bound_memory()
        self._make_room()
        if fresh:
            self._committed()

    def _write(self, known: dict[Position, Event]) -> None:
        """Move what waits to the disk, in order, as far as it goes."""
        while self._waiting:
            rows = self._waiting[:CHUNK]
            try:
                with transaction(self._connection):
                    self._connection.executemany(
                        "INSERT INTO event (boot, sequence, packed, worth) VALUES (?, ?, ?, ?)", rows
                    )
            except sqlite3.Error as error:
                if self._refused_at is None:
                    logger.error("events wait in memory, the disk takes none: %s", error)  # noqa: TRY400 - no bug
                self._refused_at = time.monotonic()
                return
            del self._waiting[:CHUNK]
            self._bytes += sum(one.size for one in rows)
            self._remember(rows, known)
        if self._refused_at is not None:
            self._refused_at = None
            logger.info("the disk takes events again")

    def _remember(self, rows: list[Row], known: dict[Position, Event]) -> None:
        """Keep the newest at hand; they are found by their sequence, so there is no hole between them."""
        for one in rows[-RECENT:]:
            event = known.get(one.position) or one.event()
            if self._recent and self._recent[-1][0].sequence + 1 != event.sequence:
                self._forget_recent()
            self._recent.append((event, len(one.packed)))
            self._recent_bytes += len(one.packed)
        while self._recent and (len(self._recent) > RECENT or self._recent_bytes > RECENT_BYTES):
            self._recent_bytes -= self._recent.popleft()[1]

    def _forget_recent(self) -> None:
        self._recent.clear()
        self._recent_bytes = 0

    # --- without room -----------------------------------------------------------------------------------------------

    def _bound_memory(self) -> None:
        """Give up of what waits in memory what goes beyond the bound."""
        free = [one for one in self._waiting if one.position > self._given]
        size = sum(one.size for one in self._waiting)
        victims = choose(
            lambda worth: (one for one in free if one.worth == worth), size, min(MEMORY_LIMIT, self._limit)
        )
        if victims:
            gone = {victim.position for victim in victims}
            kept = [one for one in self._waiting if one.position not in gone]
            self._waiting = sorted([*kept, told(victims)], key=lambda one: one.position)

    def _make_room(self) -> None:
        """Give up of what is on the disk what goes beyond the limit."""
        if self._bytes <= self._limit:
            return
        victims = choose(self._of_worth, self._bytes, self._limit)
        if not victims:
            return
        loss = told(victims)
        try:
            with transaction(self._connection):
                self._connection.executemany(
                    "DELETE FROM event WHERE boot = ? AND sequence = ?", [victim.position for victim in victims]
                )
                self._connection.execute("INSERT INTO event (boot, sequence, packed, worth) VALUES (?, ?, ?, ?)", loss)
        except sqlite3.Error as error:
            logger.error("no room can be made for events: %s", error)  # noqa: TRY400 - no bug
            return
        self._forget_recent()
        self._bytes += loss.size - sum(victim.size for victim in victims)
        logger.warning("%d events are given up for room, the oldest and least important first", len(victims))

    def _of_worth(self, worth: Worth) -> Iterable[Row]:
        found = self._connection.execute(
            "SELECT boot, sequence, packed, worth FROM event WHERE worth = ? AND (boot, sequence) > (?, ?)"
            " ORDER BY boot, sequence",
            (worth, *self._given),
        )
        return map(Row._make, found)

    # --- out --------------------------------------------------------------------------------------------------------

    def after(self, position: Position, limit: int) -> list[Event]:
        """Read at most `limit` events that follow a position, in order, to send them; fewer if they are large."""
        found = (
            self._stored(position, limit)
            or self._as_many_as_fit((one.event(), len(one.packed)) for one in self._waiting if one.position > position)[
                :limit
            ]
        )
        if found:
            self._given = max(self._given, (found[-1].boot, found[-1].sequence))
        return found

    def _stored(self, position: Position, limit: int) -> list[Event]:
        if self._recent and position[0] == self.boot and position[1] >= self._recent[0][0].sequence - 1:
            begin = position[1] + 1 - self._recent[0][0].sequence
            return self._as_many_as_fit(islice(self._recent, begin, begin + limit))
        rows = self._connection.execute(
            "SELECT boot, sequence, packed, worth FROM event WHERE (boot, sequence) > (?, ?)"
            " ORDER BY boot, sequence LIMIT ?",
            (*position, limit),
        )
        return self._as_many_as_fit((one.event(), len(one.packed)) for one in map(Row._make, rows))

    def _as_many_as_fit(self, events: Iterable[tuple[Event, int]]) -> list[Event]:
        found = []
        total = 0
        for event, size in events:
            found.append(event)
            total += size
            if total > self._read_bytes:
                break
        return found

    def oldest(self) -> Position:
        """Name the first event that is still kept, `NOTHING` if there is none."""
        row = self._connection.execute("SELECT boot, sequence FROM event ORDER BY boot, sequence LIMIT 1").fetchone()
        if row:
            return (row[0], row[1])
        return self._waiting[0].position if self._waiting else NOTHING

    def acknowledged(self, position: Position) -> None:
        """Forget everything up to and including a position: the master has journalled it.

        What the disk does not let go of (it is full, and that takes room, too) goes with the next position.
        """
        self._waiting = [one for one in self._waiting if one.position > position]
        try:
            with transaction(self._connection):
                count, size = self._connection.execute(
                    f"SELECT {_BYTES} FROM event WHERE (boot, sequence) <= (?, ?)",  # noqa: S608 - constant
                    position,
                ).fetchone()
                if count:
                    self._connection.execute("DELETE FROM event WHERE (boot, sequence) <= (?, ?)", position)
        except sqlite3.Error as error:
            logger.error("events that the master has are kept, the disk lets none go: %s", error)  # noqa: TRY400
            return
        self._bytes -= size
