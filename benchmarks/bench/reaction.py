"""From a line in a director's FIFO to the `failover` event, when all five minions have compared and answered.

Two directors with a real keepalived each, three real servers. The lines are written as keepalived writes them, so that
the moment is known; who holds the VIP alternates between the two.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from lbmaster import client
from lbmaster.client import Event

from .cluster import INSTANCE, VIPS
from .director import kernel_has_ipvs
from .figures import Figure, spread
from .processes import BenchmarkError
from .site import Site, settled

AIM_MS = 25.0
_REAL_SERVERS = 3
_PAUSE = 0.2
_UNCONTESTED = 3
"""So often in a minute a thing is repaired at once; a push lets the minion forget who changed what."""
_STAND_IN = "this kernel has no ip_vs, so the directors' IPVS table is in memory (bench/director.py)"


def measure(*, quick: bool) -> Iterator[Figure]:
    """Measure failovers with nothing to heal, and how fast a minion heals a VIP that somebody deleted."""
    rounds = 30 if quick else 100
    with Site(_REAL_SERVERS, directors=2) as site:
        site.push(extra=False)
        whole, master = asyncio.run(_failovers(site, rounds))
        healed = asyncio.run(_healings(site, rounds))
    note = "" if kernel_has_ipvs() else _STAND_IN
    what = "FIFO line -> failover event, all 5 minions compared"
    yield Figure("reaction", what, "ms", spread(whole), aim=AIM_MS, note=note)
    yield Figure("reaction", "of it, from the transition's arrival at the master", "ms", spread(master))
    yield Figure("reaction", "VIP deleted on a real server -> drift.healed event", "ms", spread(healed))


async def _failovers(site: Site, rounds: int) -> tuple[list[float], list[float]]:
    """Give ms as the subscriber sees it, and ms as the master says."""
    await settled(8)
    whole: list[float] = []
    master: list[float] = []
    fifos = {name: site.hosts[name].fifo.open("wb", buffering=0) for name in ("d1", "d2")}
    try:
        async with aclosing(_events(site, "failover")) as events:
            for turn in range(rounds + 2):
                target = ("d2", "d1")[turn % 2]
                for fifo in fifos.values():
                    fifo.write(_line("BACKUP"))
                await asyncio.sleep(_PAUSE)
                begin = time.monotonic()
                fifos[target].write(_line("MASTER"))
                event = await anext(events)
                milliseconds = 1000 * (time.monotonic() - begin)
                if event.data["silent"] or event.data["target"] != target:
                    raise BenchmarkError(f"not the failover to {target} that was asked for: {event.data}")
                if turn > 1:
                    whole.append(milliseconds)
                    master.append(1000 * event.data["seconds"])
    finally:
        for fifo in fifos.values():
            fifo.close()
    return whole, master


async def _healings(site: Site, rounds: int) -> list[float]:
    """Delete the VIP by `ip`, whose own time is counted too; give ms."""
    milliseconds = []
    command = ["ip", "-n", site.hosts["r1"].namespace, "address", "del", f"{VIPS[INSTANCE]}/32", "dev", "lo"]
    async with aclosing(_events(site, "drift.healed")) as events:
        for turn in range(rounds):
            if turn % _UNCONTESTED == 0:
                site.push(extra=False)
            begin = time.monotonic()
            subprocess.run(command, check=True)  # noqa: ASYNC221 - nothing else is to happen meanwhile
            await anext(events)
            milliseconds.append(1000 * (time.monotonic() - begin))
            await asyncio.sleep(_PAUSE)
    return milliseconds


def _line(state: str) -> bytes:
    return f'INSTANCE "{INSTANCE}" {state} 100\n'.encode()


def _events(site: Site, event_type: str) -> AsyncGenerator[Event, None]:
    cursor = site.call("events", follow=False, limit=0)["cursor"]
    return client.events(cursor, types=[event_type], socket=site.events_socket)
