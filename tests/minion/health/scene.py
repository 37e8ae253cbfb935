"""A director's engine with its database, and real servers as a test says; the kernel's table is a set of names."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lbminion.health.engine import Engine
from lbminion.health.outcome import CannotProbe, Outcome, ProbeFailed, Target
from lbminion.health.probes import Ask, asker
from lbminion.health.verdicts import Verdicts
from lbminion.store import open_store
from lbstates.balancing import Pool, ServiceDestination, VirtualService
from lbstates.checks import Check, TcpCheck
from lbstates.desired import DirectorState, Host
from lbstates.facts import HostFacts
from lbstates.kinds.destination import Destination
from lbstates.plan import index
from lbwire import events

HOST, VIP = "d1", "10.0.0.100"
QUICK = TcpCheck(interval=0.25, timeout=0.25, rise=1, fall=2)
FACTS = HostFacts({"10.0.0.1": "eth0"}, "2.2.8", "/run/fifo")
SECONDS = 10.0
PLAIN = Pool()
R1, R2, R3, R4 = (Target(f"10.0.2.{number}", 8080) for number in range(1, 5))


def web(*targets: Target, check: Check | None = QUICK, pool: Pool = PLAIN, drained: str = "") -> VirtualService:
    """A service with masquerading: its real servers are asked at their own addresses."""
    destinations = tuple(
        ServiceDestination(it.address, it.port, 10, "masquerade", host=f"r{number}", drained=f"r{number}" == drained)
        for number, it in enumerate(targets, start=1)
    )
    return VirtualService("tcp", VIP, 80, "rr", destinations, check=check, pool=pool)


def state(*services: VirtualService) -> DirectorState:
    return DirectorState("c", {HOST: Host("10.0.0.1")}, (), services)


def name(service: VirtualService, number: int) -> str:
    """The identity of one of its real servers."""
    return service.identity_of(service.destinations[number - 1])


class Servers:
    """Real servers that answer, or do not, as a test says."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.asked: list[Target] = []
        self.days: float | None = None
        self.unable = False

    async def ask(self, target: Target, _: Check) -> Outcome:
        self.asked.append(target)
        await asyncio.sleep(0)
        if self.unable:
            raise CannotProbe("no such address")
        if target.address in self.dead:
            raise ProbeFailed("connection refused")
        return Outcome(True, "connected", self.days)

    def die(self, *targets: Target) -> None:
        self.dead |= {target.address for target in targets}

    def live(self, *targets: Target) -> None:
        self.dead -= {target.address for target in targets}


class Scene:
    """One minion's life: `begin` is a start of the service, `end` its end."""

    def __init__(self, directory: Path, ask: Ask | None = None) -> None:
        self.directory, self.ask = directory, ask or asker(directory)
        self.in_use: set[str] = set()
        self.boot = "boot"
        self.said: list[events.Data] = []
        self.looks = 0
        self.weights: Mapping[str, int] = {}
        self.clock: Callable[[], float] = time.monotonic
        self._happened = asyncio.Event()
        self._connection: sqlite3.Connection | None = None
        self._states: tuple[DirectorState, ...] = ()
        self.verdicts: Verdicts
        self.engine: Engine

    def begin(self, *states: DirectorState) -> None:
        """Start the minion, which finds these states released."""
        self._connection = open_store(self.directory)
        self.verdicts = Verdicts(self._connection, lambda: self.in_use, HOST, self.boot, self.clock)
        self.engine = Engine(HOST, self.verdicts, self.ask, self._report, self._look)
        self.follow(*states)

    def follow(self, *states: DirectorState) -> None:
        """Release states, and let the host become so."""
        self._states = states
        self.weights = self.engine.follow(states, FACTS)
        self.engine.seen(index(()))

    def has(self, *gates: str) -> None:
        """Have the kernel lead probes by these destinations, and none else."""
        self.in_use = set(gates)
        self.engine.seen(index(()) | {"destination": dict.fromkeys(gates, Destination("", "", 0, "direct", 1))})

    def _report(self, event: events.Data, cluster: str) -> None:
        assert cluster == "c"
        self.said.append(event)
        self._happened.set()

    def _look(self) -> None:
        """As the reconciler does, weigh again."""
        self.looks += 1
        self.weights = self.engine.follow(self._states, FACTS)
        self._happened.set()

    async def until(self, enough: Callable[[], object]) -> None:
        """Wait until what has happened is enough."""
        async with asyncio.timeout(SECONDS):
            while not enough():
                self._happened.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await self._happened.wait()
                except TimeoutError:
                    continue

    def types(self) -> list[str]:
        return [event.TYPE for event in self.said]

    def end(self) -> None:
        """End the minion in an orderly way."""
        if self._connection is not None:
            self.engine.close()
            self.kill()

    def kill(self) -> None:
        """End it without warning."""
        if self._connection is not None:
            self.engine._watches.close()
            self._connection.close()
            self._connection = None


async def proven(scene: Scene, *services: VirtualService) -> None:
    """Begin, and wait until every real server is in."""
    scene.begin(state(*services))
    await scene.until(lambda: not scene.weights)
