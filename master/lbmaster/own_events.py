"""What the master itself concludes, on its way into the journal: in order, and not lost while the disk takes nothing.

Minions keep what is not journalled and send it again; the master's own events wait here, with a bound, for the disk.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from lbwire.event_types import encode_data
from lbwire.events import Data, EventsLost
from lbwire.worth import worth_of

from .bus import Bus
from .journal import MASTER, MASTER_ENROLMENT, Entry

logger = logging.getLogger(__name__)

MOST: Final = 1000
"""Events that wait; beyond it the least important go, the oldest of them first, and are counted."""


class OwnEvents:
    """`boot` is the number of this life of the master: with a sequence the identity of each event."""

    def __init__(self, bus: Bus, boot: int) -> None:
        self._bus, self._boot = bus, boot
        self._sequence = 0
        self._waiting: list[Entry] = []
        self._lost: EventsLost | None = None
        self._failed = ""
        self._together = False

    def add(self, data: Data, cluster: str = "") -> None:
        """Journal an event behind those that wait, and tell the subscribers."""
        self._waiting.append(self._entry(data, cluster))
        if not self._together:
            self.journal()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Journal what the block adds when it ends, all at once: a thousand minions may be lost in one look."""
        self._together = True
        try:
            yield
        finally:
            self._together = False
            self.journal()

    def journal(self) -> None:
        """Try to journal what waits; what was lost meanwhile is told behind it."""
        if not self._waiting:
            return
        try:
            self._bus.publish(self._bus.journal.append(self._waiting))
        except sqlite3.Error as error:
            self._bound(error)
            return
        self._waiting.clear()
        self._failed = ""
        if self._lost is not None:
            lost, self._lost = self._lost, None
            self.add(lost)

    def _bound(self, error: sqlite3.Error) -> None:
        if self._failed != str(error):
            self._failed = str(error)
            logger.error("the journal takes no events, the master's own wait: %s; is the disk full?", error)
        while len(self._waiting) > MOST:
            gone = min(self._waiting, key=lambda entry: (worth_of(entry.type), entry.sequence))
            self._waiting.remove(gone)
            self._lost = _with(self._lost, gone)
            logger.error("lost, since the disk takes nothing: %s %s", gone.type, gone.data.decode())

    def _entry(self, data: Data, cluster: str) -> Entry:
        self._sequence += 1
        wall = time.time()
        packed = msgspec.json.encode(encode_data(data))
        return Entry(MASTER_ENROLMENT, MASTER, self._boot, self._sequence, data.TYPE, wall, wall, cluster, packed)


def _with(lost: EventsLost | None, entry: Entry) -> EventsLost:
    before = lost or EventsLost(0, {}, entry.time, entry.time)
    types = {**before.types, entry.type: before.types.get(entry.type, 0) + 1}
    return EventsLost(before.count + 1, types, min(before.since, entry.time), max(before.until, entry.time))
