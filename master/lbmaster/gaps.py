"""What a subscriber has missed because it was pruned before he asked for it: told once, as an event in its place.

The journal's cursors have no holes of their own, so each hole that is met is what `retention` has taken away. The first of
them stands for all that there are at that time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from lbwire.event_types import encode_data
from lbwire.events import EventsLost

from .journal import MASTER, Journal, Record

SPAN: Final = 10_000
"""Events that are counted before others get their turn."""


class Gaps:
    """`after` is the cursor that was asked for; `wanted` says whether a type of event is."""

    def __init__(self, journal: Journal, after: int, wanted: Callable[[str], bool]) -> None:
        self._journal, self._wanted = journal, wanted
        self._seen = self._told = after

    async def told(self, page: Sequence[Record]) -> list[Record]:
        """Give the page with what was missed before it, or in it, said in its place."""
        records: list[Record] = []
        for record in page:
            if (lost := await self._before(record.cursor)) is not None:
                records.append(lost)
            records.append(record)
        return records

    async def at_the_end(self, cursor: int) -> list[Record]:
        """Say what was missed between the last page and the end of the journal."""
        lost = await self._before(cursor + 1)
        return [] if lost is None else [lost]

    async def _before(self, cursor: int) -> Record | None:
        """Step on to the event with a cursor; a hole before it is told if it is news, under the hole's last cursor."""
        first, self._seen = max(self._seen, self._told) + 1, cursor
        pruned = self._journal.pruned
        if first >= cursor or not pruned:
            return None
        upto = max(of.cursor for of in pruned.values())
        self._told = max(self._told, upto)
        missed = {name: of for name, of in pruned.items() if of.cursor >= first and self._wanted(name)}
        count = upto - first + 1 - await self._kept(first - 1, upto)
        if not missed or count <= 0:
            return None
        data = EventsLost(
            count,
            {name: min(of.count, count) for name, of in sorted(missed.items())},
            min(of.since for of in missed.values()),
            max(of.until for of in missed.values()),
        )
        raw = msgspec.Raw(msgspec.json.encode(encode_data(data)))
        return Record(cursor - 1, MASTER, 0, 0, EventsLost.TYPE, data.until, data.until, "", raw)

    async def _kept(self, after: int, upto: int) -> int:
        count = 0
        for begin in range(after, upto, SPAN):
            count += self._journal.count(begin, min(begin + SPAN, upto))
            await asyncio.sleep(0)
        return count
