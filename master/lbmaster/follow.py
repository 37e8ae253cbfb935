"""Which events a subscriber gets: from where, how many, and of which types, hosts and cluster.

Others get their turn after every page, whether anything of it was chosen or not: a subscriber who looks for one event in a
long journal must not keep the master from its minions.
"""

from __future__ import annotations

import asyncio
import fnmatch
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .bus import Bus
from .gaps import Gaps
from .journal import MASTER, Record

Send = Callable[[list[Any]], Awaitable[None]]

LIMIT = 1_000_000


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`since` is a cursor; None, when following, is now, and otherwise the newest `limit` events.

    `types` are globs. A host's events are those of its minion, and what the master concludes of it.
    """

    since: Annotated[int, Meta(ge=0)] | None = None
    follow: bool = False
    limit: Annotated[int, Meta(ge=0, le=LIMIT)] | None = None
    types: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    cluster: str | None = None


class Filter:
    """Decides on one event after the other."""

    def __init__(self, wanted: Wanted) -> None:
        self._types = re.compile("|".join(map(fnmatch.translate, wanted.types))) if wanted.types else None
        self._hosts = frozenset(wanted.hosts or ())
        self._cluster = wanted.cluster

    def wants(self, event_type: str) -> bool:
        return self._types is None or self._types.match(event_type) is not None

    def __call__(self, record: Record) -> bool:
        """A record without a sequence is no event of the journal: what `Gaps` tells is for everybody."""
        if not record.sequence:
            return True
        if not self.wants(record.type):
            return False
        if self._cluster is not None and record.cluster != self._cluster:
            return False
        return not self._hosts or record.minion in self._hosts or self._concerns(record)

    def _concerns(self, record: Record) -> bool:
        return record.minion == MASTER and record.fields().get("host") in self._hosts


async def stream(bus: Bus, wanted: Wanted, send: Send) -> dict[str, int]:
    """Send what follows, for ever or until `limit`; returns the cursor of the last event looked at.

    Raises `ConnectionError` when the reader went away.
    """
    passes, left = Filter(wanted), wanted.limit
    after = bus.last if wanted.since is None else wanted.since
    if left == 0:
        return {"cursor": after}
    gaps = Gaps(bus.journal, after, passes.wants)
    async with aclosing(bus.follow(after)) as pages:
        async for page in pages:
            chosen = [record for record in await gaps.told(page) if passes(record)][:left]
            if chosen:
                await send(chosen)
            if left is not None:
                left -= len(chosen)
                if not left:
                    return {"cursor": chosen[-1].cursor}
            await asyncio.sleep(0)
    raise AssertionError("the stream of events has no end")


async def past(bus: Bus, wanted: Wanted, send: Send) -> dict[str, int]:
    """Send what there is, and return the cursor of the journal's end as it was when asked."""
    end = bus.last
    if wanted.limit == 0:
        return {"cursor": end}
    if wanted.since is None and wanted.limit is not None:
        await send(await _newest(bus, wanted.limit, Filter(wanted)))
        return {"cursor": end}
    passes, left, after = Filter(wanted), wanted.limit, wanted.since or 0
    gaps = Gaps(bus.journal, after, passes.wants)
    while after < end and left != 0:
        page = [record for record in bus.page(after) if record.cursor <= end]
        told = await gaps.told(page) if page else await gaps.at_the_end(end)
        after = page[-1].cursor if page else end
        chosen = [record for record in told if passes(record)][:left]
        left = None if left is None else left - len(chosen)
        if chosen:
            await send(chosen)
        await asyncio.sleep(0)
    return {"cursor": end}


async def _newest(bus: Bus, limit: int, passes: Filter) -> list[Record]:
    found: list[Record] = []
    before = bus.last + 1
    while len(found) < limit:
        page = bus.page_before(before)
        if not page:
            break
        before = page[-1].cursor
        found += [record for record in page if passes(record)]
        await asyncio.sleep(0)
    return found[:limit][::-1]
