"""The event bus: everybody who subscribed gets every event after the one that he named, once, in the journal's order.

A subscriber is a position and no queue: who is slow reads his next page from the journal, and costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from .journal import Journal, Record

RECENT: Final = 2048
"""Events kept in memory for those who keep up."""
LARGE: Final = 64 * 1024
"""Bytes of data with which an event is not kept in memory."""
PAGE: Final = 200


class Bus:
    """`publish` what was journalled; `follow` it. `journal` is what it reads from."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._recent: deque[Record] = deque(maxlen=RECENT)
        self._waiting: set[asyncio.Event] = set()

    @property
    def last(self) -> int:
        """The cursor of the newest event."""
        return self.journal.last

    def publish(self, records: Sequence[Record]) -> None:
        """Tell everybody who waits that there is more."""
        if any(len(record.data) > LARGE for record in records):
            # Whoever follows reads the journal, rather than that memory fills with these.
            self._recent.clear()
        else:
            self._recent.extend(records)
        for event in self._waiting:
            event.set()

    async def follow(self, after: int) -> AsyncGenerator[list[Record], None]:
        """Yield pages of what follows a cursor, for ever; close the iterator to end it."""
        more = asyncio.Event()
        self._waiting.add(more)
        try:
            while True:
                more.clear()
                page = self.page(after)
                if page:
                    after = page[-1].cursor
                    yield page
                else:
                    await more.wait()
        finally:
            self._waiting.discard(more)

    def page(self, after: int) -> list[Record]:
        """Give what follows a cursor: from memory if that is recent enough, else from the journal."""
        if after >= self.journal.last:
            return []
        if self._recent and self._recent[0].cursor <= after + 1:
            first = len(self._recent) - (self._recent[-1].cursor - after)
            return [self._recent[place] for place in range(first, min(first + PAGE, len(self._recent)))]
        return self.journal.page(after, PAGE)

    def page_before(self, before: int) -> list[Record]:
        """Give what precedes a cursor, newest first."""
        return self.journal.page_before(before, PAGE)
