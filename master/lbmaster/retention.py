"""How much of the past the journal keeps: what is too old goes, then what is too much, the least important first.

Works in steps that are small enough to be taken between two messages, so that no minion waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from itertools import islice, takewhile
from typing import Final

from lbwire.worth import Worth, worth_of

from .journal import Journal, Old

logger = logging.getLogger(__name__)

STEP: Final = 500
"""Events that are forgotten in one transaction."""
SPAN: Final = 4000
"""Events that one step looks at."""
PAUSE_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 30.0
DAY: Final = 86400.0


class Retention:
    """Keeps the events of so many `days`, and at most `most` of them."""

    def __init__(self, journal: Journal, days: float, most: int) -> None:
        self._journal, self._seconds, self._most = journal, days * DAY, most
        # Up to these cursors there is nothing left of that worth.
        self._searched = dict.fromkeys(Worth, 0)

    async def run(self) -> None:
        """Prune now and then, until cancelled."""
        while True:
            try:
                more = self.step(time.time())
            except sqlite3.Error as error:
                logger.error("the journal cannot be pruned: %s", error)  # noqa: TRY400 - no bug
                more = False
            await asyncio.sleep(PAUSE_SECONDS if more else LOOK_SECONDS)

    def step(self, now: float) -> bool:
        """Do a part of what is to be done (`now`: Unix time); returns whether there may be more. Raises `sqlite3.Error`."""
        found = self._too_old(now) or self._too_many()
        if found is None:
            return False
        if found:
            self._journal.prune(found)
        return True

    def _too_old(self, now: float) -> list[Old]:
        return list(takewhile(lambda event: event.received < now - self._seconds, self._journal.oldest(STEP)))

    def _too_many(self) -> list[Old] | None:
        """Find some of what is too much; [] if they have to be looked for further on, None if nothing is."""
        excess = self._journal.kept - self._most
        if excess <= 0:
            return None
        for worth in Worth:
            begin = self._searched[worth]
            if begin < self._journal.last:
                end = min(begin + SPAN, self._journal.last)
                fitting = (event for event in self._journal.between(begin, end) if worth_of(event.type) is worth)
                found = list(islice(fitting, min(STEP, excess)))
                self._searched[worth] = found[-1].cursor if len(found) == min(STEP, excess) else end
                return found
        return None
