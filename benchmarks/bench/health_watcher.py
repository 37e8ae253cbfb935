"""The watching part of a director's minion, with real servers that are addresses of its own namespace.

Engine, verdicts, decisions, database and sockets are the product's; only the kernel's table and the master are not there.
Runs in a namespace of its own: `python -m bench.health_watcher KIND SECONDS` prints its figures as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from lbminion.health.engine import Engine
from lbminion.health.outcome import Outcome, Target
from lbminion.health.probes import asker
from lbminion.health.verdicts import Verdicts
from lbminion.store import open_store
from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.checks import Check, HttpCheck, TcpCheck
from lbstates.desired import DirectorState, Host
from lbstates.facts import HostFacts
from lbwire import events, health_events

from .health import DESTINATIONS, FALL, INTERVAL, TIMEOUT

_SERVICES: Final = 50
_PORT: Final = 8080
_SETTLE: Final = 2 * INTERVAL
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def main() -> None:
    """Measure one kind, and print it."""
    kind, seconds = sys.argv[1], float(sys.argv[2])
    # The service has more, too: LimitNOFILE of its unit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    server = _serve(kind)
    try:
        print(json.dumps(asyncio.run(_measure(kind, seconds, server))))
    finally:
        os.waitpid(server, os.WNOHANG)


def _serve(kind: str) -> int:
    """Answer for all real servers, in a process of its own; returns its id."""
    listening = socket.create_server(("", _PORT), backlog=4096)
    if child := os.fork():
        listening.close()
        return child

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if kind == "http":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_ANSWER)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(answer, sock=listening) as server:
            await server.serve_forever()

    asyncio.run(run())
    os._exit(0)


def _state(kind: str) -> DirectorState:
    check: Check = (HttpCheck if kind == "http" else TcpCheck)(interval=INTERVAL, timeout=TIMEOUT, fall=FALL)
    each = DESTINATIONS // _SERVICES
    services = tuple(
        VirtualService(
            "tcp", f"10.201.0.{number + 1}", 80, "rr",
            tuple(ServiceDestination(f"10.200.{number}.{place + 1}", _PORT, 1, "masquerade") for place in range(each)),
            check=check,
        )
        for number in range(_SERVICES)
    )  # fmt: skip
    return DirectorState("bench", {"d1": Host("10.201.255.1")}, (), services)


async def _measure(kind: str, seconds: float, server: int) -> dict[str, float]:
    """Watch for a while, end the real servers, and wait until all are known to be gone."""
    gone: dict[str, float] = {}
    all_gone = asyncio.Event()
    probes = 0
    ask = asker(Path("/nonexistent"))

    async def counting(target: Target, check: Check) -> Outcome:
        nonlocal probes
        probes += 1
        return await ask(target, check)

    def report(event: events.Data, _: str) -> None:
        if isinstance(event, health_events.HealthChanged) and event.state == "down":
            gone[f"{event.service} {event.destination}"] = time.monotonic()
            if len(gone) == DESTINATIONS:
                all_gone.set()

    with tempfile.TemporaryDirectory() as directory:
        connection = open_store(Path(directory))
        verdicts = Verdicts(connection, frozenset, "d1", "boot")
        states = (_state(kind),)
        facts = HostFacts({}, None, "")
        engine = Engine("d1", verdicts, counting, report, lambda: None)
        engine.follow(states, facts)
        gc.freeze()
        await asyncio.sleep(_SETTLE)
        probes, began, cpu = 0, time.monotonic(), time.process_time()
        end = began + seconds
        while time.monotonic() < end:  # as the minion does every second
            await asyncio.sleep(1.0)
            engine.health()
            engine.flush()
        took, spent, made = time.monotonic() - began, time.process_time() - cpu, probes
        os.kill(server, signal.SIGKILL)
        died = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(3 * (INTERVAL * FALL + TIMEOUT)):
                await all_gone.wait()
        engine.close()
        connection.close()
    found = sorted(at - died for at in gone.values())
    return {
        "share": 100 * spent / took,
        "rate": made / took,
        "microseconds": 1e6 * spent / max(made, 1),
        "found": len(found),
        "median": found[len(found) // 2] if found else -1.0,
        "last": found[-1] if found else -1.0,
    }


if __name__ == "__main__":
    main()
