"""A reconciler over a host that is a stand-in, whose moments can be chosen; everything else in it is real."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbminion.errors import ChangeError
from lbminion.holdings import Holdings
from lbminion.ledger import Ledger
from lbminion.planner import Planner, Weigher
from lbminion.reconciler import Reconciler
from lbminion.store import open_store
from lbstates.desired import Answer, DriftPolicy, Host, RealServerState, encode_state
from lbstates.kinds.kind import Resource
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import Plan, Resources, index
from lbstates.resources import HostFacts
from lbwire.envelope import Envelope, key_id, seal
from lbwire.inbox import Inbox
from lbwire.messages import State, payload

HOST = "netology1"
ARP = ("arp_ignore", "arp_announce")
SECONDS = 30
"""How long anything may take on a machine whose disk is busy with other things: each push is flushed several times."""
KEY = Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}


class StandIn:
    """A host that has what it was told to have, refuses what it was told to refuse, and pauses where it was told to."""

    def __init__(self) -> None:
        # A kernel's settings are always there.
        keys = [f"net/ipv4/conf/{name}/{key}" for name in ("all", "eth0", "eth1", "eth2") for key in ARP]
        self.has: dict[str, dict[str, Resource]] = index(Sysctl(key, "0") for key in keys)
        self.refuses: list[ChangeError] = []
        self.broken: Exception | None = None
        self.held = False
        self.interface = "eth0"
        self.foreign: frozenset[str] = frozenset()
        self.may_look = asyncio.Event()
        self.may_look.set()
        self.looks = asyncio.Event()

    async def facts(self, *, packet_rules: bool = False) -> HostFacts:
        return HostFacts({"172.28.128.10": self.interface}, None, "/run/lbminion/vrrp.fifo")

    async def observe(self, _wanted: object) -> Resources:
        self.looks.set()
        await self.may_look.wait()
        if self.broken is not None:
            raise self.broken
        return {kind: dict(of_kind) for kind, of_kind in self.has.items()}

    async def check(self, _plan: Plan) -> None: ...

    async def clean_up(self, _changes: object) -> None: ...

    def changed(self, _wanted: object, observed: Resources) -> str:
        return next((kind for kind, there in self.has.items() if there != observed[kind]), "")

    async def apply(self, plan: Plan) -> list[ChangeError]:
        if self.refuses:
            return self.refuses
        for change in plan:
            if change.after is not None:
                self.has[change.kind][change.identity] = change.after
            else:
                del self.has[change.kind][change.identity]
        return []

    def respect(self, plan: Plan) -> tuple[Plan, Plan]:
        return ((), plan) if self.held else (plan, ())

    def release_hold(self) -> None:
        self.held = False


class Scene:
    """A reconciler with a real database, and what it said."""

    def __init__(self, directory: Path, host: StandIn | None = None, weigher: Weigher | None = None) -> None:
        connection = open_store(directory)
        self.host: Any = host or StandIn()
        self.now = 1000.0
        self.holdings = Holdings(connection, KEYS)
        self.ledger = Ledger(connection)
        self.said: list[tuple[str, Any]] = []
        self.answers: list[Any] = []
        self.reconciler = Reconciler(
            Planner(HOST, self.host, self.holdings, self.ledger, weigher), self.host, self.holdings, self.ledger,
            lambda data, _cluster: self.said.append((data.TYPE, data)), self.answers.append,
            lambda: self.now,
        )  # fmt: skip

    def receive(self, generation: int, *vips: str, drift: DriftPolicy = "heal", cluster: str = "c") -> None:
        """Stage a generation as the inbox would."""
        answers = tuple(Answer(vip, "tcp", ("80",), "direct", {HOST: 80}) for vip in vips)
        state = RealServerState(cluster, {HOST: Host("172.28.128.10")}, answers, drift=drift)
        self.take(generation, encode_state(state), cluster)

    def take(self, generation: int, desired: dict[str, Any], cluster: str = "c", role: str = "realserver") -> None:
        """Stage a state as it travels."""
        message = State((HOST,), desired)
        raw = seal(Envelope("state", cluster, f"role:{role}", generation, 0, payload(message)), KEY)
        self.holdings.keep(Inbox(HOST, KEYS).judge(raw, self.holdings.memory), raw)

    @contextmanager
    def running(self) -> Iterator[None]:
        task = asyncio.get_running_loop().create_task(self.reconciler.run())
        try:
            yield
        finally:
            task.cancel()

    async def idle(self) -> None:
        """Wait until nothing is to be done any more, with everything that is asked for now."""
        async with asyncio.timeout(SECONDS):
            await asyncio.sleep(0)
            while self.reconciler.busy:
                await asyncio.sleep(0.001)

    async def until(self, event_type: str, count: int = 1) -> Any:
        async with asyncio.timeout(SECONDS):
            while sum(kind == event_type for kind, _ in self.said) < count:
                await asyncio.sleep(0.001)
        return [data for kind, data in self.said if kind == event_type][count - 1]
