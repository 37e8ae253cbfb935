"""A storm on the uplink: two directors take a VIP from each other ten thousand times in a moment."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc

from lbwire.events import VrrpTransition
from lbwire.messages import Events, Reconcile

from .conftest import Site, eventually
from .fake_minion import FakeMinion

STORM = 10_000
BATCH = 50


def batches(minion: FakeMinion) -> list[Events]:
    """Half of the storm: this director's transitions, as its minion would send them."""
    states = itertools.cycle((("MASTER", "BACKUP"), ("BACKUP", "MASTER")))
    found = []
    for _ in range(STORM // 2 // BATCH):
        events = tuple(
            minion.event(VrrpTransition("www", *next(states), 100, ("10.0.0.100/24",))) for _ in range(BATCH)
        )
        found.append(Events(*minion.last, events))
        minion.last = (events[-1].boot, events[-1].sequence)
    return found


async def test_a_storm_on_the_uplink_is_journalled_once_and_in_order(site: Site) -> None:
    """Each host's in its order; the cluster is compared a few times, and few failovers are told."""
    await site.cluster()
    directors = [site.minions["d1"], site.minions["d2"]]
    since = (await site.events())[-1]["cursor"]
    before = sum(isinstance(message, Reconcile) for message in site.minions["r1"].seen)
    storms = [batches(director) for director in directors]
    for pair in zip(*storms, strict=True):
        for director, message in zip(directors, pair, strict=True):
            director.send(message)
        await asyncio.sleep(0)
    await eventually(lambda: all(director.last in director.acks for director in directors), 60)
    await asyncio.sleep(1.5)  # nothing to wait for: what was braked comes within a tick, its answer within the deadline
    found = await site.events("vrrp.transition", since=since)
    for director, storm in zip(directors, storms, strict=True):
        told = [(event["boot"], event["sequence"]) for event in found if event["minion"] == director.name]
        assert told == [(event.boot, event.sequence) for message in storm for event in message.events]
    failovers = await site.events("failover", since=since)
    reconciles = sum(isinstance(message, Reconcile) for message in site.minions["r1"].seen) - before
    assert 1 <= len(failovers) <= reconciles <= 60
    assert failovers[-1]["data"]["target"] == (await _holder(site))
    assert all(event["data"]["source"] != event["data"]["target"] for event in failovers)


async def _holder(site: Site) -> str:
    """Tell whose transition to MASTER came last."""
    last = [e for e in await site.events("vrrp.transition") if e["data"]["state"] == "MASTER"][-1]
    name: str = last["minion"]
    return name


async def test_a_storm_leaves_nothing_in_the_masters_memory(site: Site) -> None:
    """Beside the newest events, which are kept for subscribers that keep up."""
    await site.cluster()
    director = site.minions["d1"]

    async def storm() -> None:
        for message in batches(director):
            director.send(message)
            await asyncio.sleep(0)
        await eventually(lambda: director.last in director.acks, 60)

    await storm()
    tracemalloc.start()
    try:
        await storm()
        director.acks.clear()
        director.seen.clear()
        assert tracemalloc.get_traced_memory()[0] < 16e6
    finally:
        tracemalloc.stop()
