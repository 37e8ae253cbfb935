"""Events on disk until the master has acknowledged them.

An event's identity is (minion, boot, sequence): the boot number grows with every start of the minion, the sequence
with every event of that boot. Events that are raised in one pass of the event loop are committed together, then sent.
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

import msgspec

from lbservice.database import transaction
from lbwire.codec import pack, unpack
from lbwire.events import Data, encode_data
from lbwire.messages import Event

Position = tuple[int, int]
"""(boot, sequence) of an event; (0, 0) lies before every event."""

logger = logging.getLogger(__name__)

RECENT: Final = 2000
"""Events that are kept in memory, too, so that what is sent at once need not be read back from the disk."""
RECENT_BYTES: Final = 16 * 1024 * 1024
READ_BYTES: Final = 2 * 1024 * 1024
"""What is read at once ends with the event that goes beyond this: a message has a limit (`lbwire.codec.LIMIT`)."""

NOTHING: Final[Position] = (0, 0)


class Spool:
    """The minion's outgoing events. `committed` is called (without arguments) when new ones are safe to be sent."""

    def __init__(self, connection: sqlite3.Connection, committed: Callable[[], None]) -> None:
        self._connection = connection
        self._committed = committed
        self._fresh: list[Event] = []
        self._recent: deque[tuple[Event, int]] = deque()
        self._recent_bytes = 0
        self._sequence = 0
        self.boot = self._begin_boot()

    def _begin_boot(self) -> int:
        """Choose a boot number above every earlier one, even if the disk was wiped (hence the clock: ms since 1970)."""
        row = self._connection.execute("SELECT value FROM kept WHERE key = 'boot'").fetchone()
        last = int(unpack(row[0])) if row else 0
        boot = max(last + 1, time.time_ns() // 1_000_000)
        with transaction(self._connection, durable=True):
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES ('boot', ?)", (pack(boot),))
        return boot

    def add(self, data: Data, cluster: str = "") -> Event:
        """Raise an event. It is on disk, and `committed` called, before the event loop's next pass is over."""
        self._sequence += 1
        event = Event(self.boot, self._sequence, data.TYPE, time.time(), cluster, encode_data(data))
        self._fresh.append(event)
        if len(self._fresh) == 1:
            asyncio.get_running_loop().call_soon(self.flush)
        return event

    def flush(self) -> None:
        """Commit what was added; what the disk does not take (it is full) waits for the next time."""
        if not self._fresh:
            return
        rows = [(event.boot, event.sequence, pack(msgspec.to_builtins(event))) for event in self._fresh]
        try:
            with transaction(self._connection):
                self._connection.executemany("INSERT INTO event VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            logger.error("%d events wait in memory, the disk takes none: %s", len(rows), error)  # noqa: TRY400 - no bug
            return
        self._remember([(event, len(row[2])) for event, row in zip(self._fresh, rows, strict=True)])
        self._fresh.clear()
        self._committed()

    def _remember(self, events: list[tuple[Event, int]]) -> None:
        self._recent.extend(events)
        self._recent_bytes += sum(size for _, size in events)
        while self._recent and (len(self._recent) > RECENT or self._recent_bytes > RECENT_BYTES):
            self._recent_bytes -= self._recent.popleft()[1]

    def after(self, position: Position, limit: int) -> list[Event]:
        """Read at most `limit` committed events that follow a position, in order; fewer if they are large."""
        if self._recent and position[0] == self.boot and position[1] >= self._recent[0][0].sequence - 1:
            begin = position[1] + 1 - self._recent[0][0].sequence
            return _as_many_as_fit(islice(self._recent, begin, begin + limit))
        rows = self._connection.execute(
            "SELECT packed FROM event WHERE (boot, sequence) > (?, ?) ORDER BY boot, sequence LIMIT ?",
            (*position, limit),
        )
        return _as_many_as_fit((msgspec.convert(unpack(packed), Event), len(packed)) for (packed,) in rows)

    def oldest(self) -> Position:
        """Name the first event that is still kept, `NOTHING` if there is none."""
        row = self._connection.execute("SELECT boot, sequence FROM event ORDER BY boot, sequence LIMIT 1").fetchone()
        return (row[0], row[1]) if row else NOTHING

    def acknowledged(self, position: Position) -> None:
        """Forget everything up to and including a position: the master has journalled it.

        What the disk does not let go of (it is full, and that takes room, too) goes with the next position.
        """
        try:
            with transaction(self._connection):
                self._connection.execute("DELETE FROM event WHERE (boot, sequence) <= (?, ?)", position)
        except sqlite3.Error as error:
            logger.error("events that the master has are kept, the disk lets none go: %s", error)  # noqa: TRY400


def _as_many_as_fit(events: Iterable[tuple[Event, int]]) -> list[Event]:
    found = []
    total = 0
    for event, size in events:
        found.append(event)
        total += size
        if total > READ_BYTES:
            break
    return found
