"""How long an event takes from a minion to a subscriber, and how many a second get through, durably and in order."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

from lbmaster import client

from . import flood, subscriber
from .cluster import INSTANCE
from .figures import Figure, spread
from .network import Network
from .peer import Salt
from .processes import BenchmarkError, cpu_seconds
from .site import Site, settled

LATENCY_AIM_MS, P99_AIM_MS, RATE_AIM = 1.0, 5.0, 30_000
_PAUSE = 0.02
_TYPE = "vrrp.transition"


def measure(*, quick: bool, salt: Salt | None) -> Iterator[Figure]:
    """Measure on one site: a director whose FIFO is written to, and hosts that flood."""
    count = 300 if quick else 1000
    events = 30_000 if quick else 150_000
    theirs = salt.events(count) if salt is not None else {}
    with Site(1, directors=1, idle=("f1", "f2", "f3", "f4")) as site:
        site.push(extra=False)
        raised, whole = asyncio.run(_latencies(site, count))
        alone = [_flow(site, ["f1"], events) for _ in range(3)]
        four = [_flow(site, ["f1", "f2", "f3", "f4"], events) for _ in range(3)]
    latency = spread(raised)
    what = "raised by the minion -> subscriber"
    yield Figure("events", what, "ms", latency, theirs.get("latency"), LATENCY_AIM_MS)
    yield Figure("events", f"{what} (99th percentile)", "ms", latency, theirs.get("latency"), P99_AIM_MS, aim_of="p99")
    yield Figure("events", "line written into the FIFO -> subscriber", "ms", spread(whole))
    yield Figure(
        "events", "durable, one minion at full speed", "1/s", spread([flow.rate for flow in alone]), theirs.get("rate"),
        RATE_AIM, higher=True, note="" if salt is None or salt.kept_order else "Salt's came out of order",
    )  # fmt: skip
    yield Figure(
        "events", "durable, four minions at full speed", "1/s", spread([flow.rate for flow in four]), higher=True
    )
    for part in ("minion", "master", "subscriber"):
        yield Figure("events", f"CPU per event: {part}", "us", spread([getattr(flow, part) for flow in alone]))


async def _latencies(site: Site, count: int) -> tuple[list[float], list[float]]:
    """Write lines into a director's FIFO, as keepalived does; give ms since the event was raised, and since the write."""
    await settled(6)
    raised, whole = [], []
    cursor = site.call("events", follow=False, limit=0)["cursor"]
    stream = client.events(cursor, types=[_TYPE], hosts=["d1"], socket=site.events_socket)
    with site.hosts["d1"].fifo.open("wb", buffering=0) as fifo:
        async with aclosing(stream) as events:
            for turn in range(count + 20):
                state = ("FAULT", "BACKUP")[turn % 2]
                await asyncio.sleep(_PAUSE)
                begin = time.time()
                fifo.write(f'INSTANCE "{INSTANCE}" {state} 100\n'.encode())
                event = await anext(events)
                now = time.time()
                if event.data["state"] != state:
                    raise BenchmarkError(f"{event.data} came instead of {state}")
                raised.append(1000 * (now - event.time))
                whole.append(1000 * (now - begin))
    return raised[20:], whole[20:]


@dataclass(frozen=True, slots=True)
class Flow:
    """Events per second, from the raising of the first to the last at the subscriber; and CPU microseconds per event on the way."""

    rate: float
    minion: float
    master: float
    subscriber: float


def _flow(site: Site, hosts: list[str], count: int) -> Flow:
    """Let hosts flood, and count at the subscriber."""
    each = count // len(hosts)
    total = each * len(hosts)
    command = [sys.executable, subscriber.__file__, str(site.events_socket), str(total), _TYPE, *hosts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise BenchmarkError("the subscriber did not start")
            master = cpu_seconds(site.master.pid)
            floods = [_start(site, name, each) for name in hosts]
            out, _ = process.communicate(timeout=240)
        finally:
            process.kill()
    answer = json.loads(out)
    master = cpu_seconds(site.master.pid) - master
    minions = sum(_cpu_of(site, name, flooding) for name, flooding in zip(hosts, floods, strict=True))
    site.processes.end(floods)
    if not answer["ordered"] or answer["hosts"] != len(hosts):
        raise BenchmarkError(f"events were lost, repeated or out of order: {answer}")
    rate = (total - 1) / (answer["last"] - answer["first"])
    return Flow(rate, *(1e6 * seconds / total for seconds in (minions, master, answer["cpu"])))


def _cpu_of(site: Site, name: str, flooding: subprocess.Popen[bytes]) -> float:
    if flooding.wait(60):
        raise BenchmarkError(f"the flood of {name} failed: {site.processes.log(f'flood-{name}')}")
    return float(json.loads(site.processes.log(f"flood-{name}").splitlines()[-1])["cpu"])


def _start(site: Site, name: str, count: int) -> subprocess.Popen[bytes]:
    host = site.hosts[name]
    command = Network.within(host.namespace, sys.executable, flood.__file__, host.config, str(count))
    return site.processes.start(f"flood-{name}", command)
