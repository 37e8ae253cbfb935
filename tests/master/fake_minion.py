"""A minion without a host: real sockets, the real inbox, and a kernel that is always as it shall be."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import zmq
import zmq.asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lbservice import sockets
from lbservice.keys import CurvePair
from lbwire import join, topics
from lbwire.envelope import key_id
from lbwire.errors import Refused
from lbwire.event_types import encode_data
from lbwire.events import Data, StateApplied, StateRefused, StateStaged, VrrpTransition
from lbwire.inbox import Inbox, Memory
from lbwire.join import JoinAnswer, JoinRequest
from lbwire.messages import (
    Ack,
    Beacon,
    Event,
    Events,
    Examine,
    Examined,
    Figures,
    Health,
    Hello,
    Holding,
    Planned,
    Reconcile,
    Reconciled,
    Release,
    Role,
    Sample,
    State,
    Step,
    Trial,
    encode,
)

STEP = Step("address", "add", "10.0.0.100/32 on lo")


def new_keys() -> CurvePair:
    return CurvePair(*zmq.curve_keypair())


async def ask_to_join(port: int, server_key: bytes, request: bytes, keys: CurvePair) -> JoinAnswer:
    """Send raw bytes to the join endpoint, and return its answer."""
    with zmq.asyncio.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = server_key, keys.public, keys.secret
        socket.connect(f"tcp://127.0.0.1:{port}")
        await socket.send(request)
        if not await socket.poll(5000):
            raise TimeoutError("no answer at the join endpoint")
        return join.decode_answer(await socket.recv())


class FakeMinion:
    """Set `obeys` False to make it deaf to states and releases; `refuses` is why it cannot stage.

    `fails` is why it cannot apply: any generation, or only `fails_at`. `on_release` is called before it applies.
    """

    def __init__(self, name: str, keys: CurvePair | None = None) -> None:
        self.name, self.keys = name, keys or new_keys()
        self.memory = Memory()
        self.applied: dict[str, int] = {}
        self.roles: dict[str, Role] = {}
        self.boot, self._sequences, self.last = 1, itertools.count(1), (0, 0)
        self.obeys, self.refuses, self.fails, self.answers = True, "", "", True
        self.fails_at = 0
        self.steps: tuple[Step, ...] = (STEP,)
        self.health = Health()
        self.drift = 0
        self.destinations: tuple[Figures, ...] = ()
        self.healed: tuple[Step, ...] = ()
        self.examined: dict[str, Any] = {}
        self.loses_releases = 0
        self.acks: list[tuple[int, int]] = []
        self.announced: list[str] = []
        self.seen: list[Any] = []
        self.refusals: list[Refused] = []
        self.on_release: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []
        self._kept: list[Event] = []
        self._asked = False

    async def join(self, ports: dict[str, int], server_key: bytes, token: str = "") -> JoinAnswer:
        answer = await ask_to_join(ports["join"], server_key, join.encode(JoinRequest(self.name, token)), self.keys)
        if answer.state == "accepted":
            self.trust(answer.signing_key)
        return answer

    def trust(self, raw: bytes) -> None:
        key = Ed25519PublicKey.from_public_bytes(raw)
        self.inbox = Inbox(self.name, {key_id(key): key})

    def connect(self, ports: dict[str, int], server_key: bytes, routing_id: bytes = b"") -> None:
        self.context = zmq.asyncio.Context()
        self.uplink, self.broadcast = self.context.socket(zmq.DEALER), self.context.socket(zmq.SUB)
        if routing_id:
            self.uplink.setsockopt(zmq.ROUTING_ID, routing_id)
        for socket, port in ((self.uplink, ports["uplink"]), (self.broadcast, ports["broadcast"])):
            socket.setsockopt(zmq.LINGER, 0)
            socket.curve_serverkey = server_key
            socket.curve_publickey, socket.curve_secretkey = self.keys.public, self.keys.secret
            socket.connect(f"tcp://127.0.0.1:{port}")
            self._tasks.append(asyncio.create_task(sockets.read(socket, self._received)))
        self.broadcast.subscribe(topics.BEACON)
        for cluster in self.memory.states:
            self._follow(cluster)
        self._tasks.append(asyncio.create_task(self._sampling()))
        self.hello()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self.context.destroy(0)

    def _follow(self, cluster: str) -> None:
        for audience in (topics.CLUSTER, *self.memory.states[cluster]):
            self.broadcast.subscribe(topics.topic(cluster, audience))

    # --- out ---

    def send(self, *messages: Any) -> None:
        for message in messages:
            sockets.send(self.uplink, [message if isinstance(message, bytes) else encode(message)])

    def hello(self) -> None:
        self._asked = True
        self.send(Hello("fake 1", "keepalived 2", self.boot, 0, self.holdings()))

    def sample(self) -> None:
        figures, health = self.destinations, self.health
        told = Sample(0.0, self.holdings(), dict(self.roles), self.drift, destinations=figures, health=health)
        self.send(told)

    def holdings(self) -> dict[str, Holding]:
        return {
            cluster: Holding(
                max(held.generation for held in states.values()),
                self.applied.get(cluster, 0),
                self.memory.commands.get(cluster, 0),
            )
            for cluster, states in self.memory.states.items()
        }

    def event(self, data: Data, cluster: str = "web") -> Event:
        return Event(self.boot, next(self._sequences), data.TYPE, 1.0, cluster, encode_data(data))

    def report(self, *data: Data, cluster: str = "web") -> None:
        self.send_events(tuple(self.event(one, cluster) for one in data))

    def send_events(self, events: tuple[Event, ...]) -> None:
        self._kept += events
        self.send(Events(*self.last, events))
        self.last = (events[-1].boot, events[-1].sequence)

    def enter(self, state: str, instance: str = "www", priority: int = 100) -> None:
        """Change the state of a VRRP instance."""
        before = self.roles[instance].state if instance in self.roles else ""
        self.roles[instance] = Role(state, priority, ("10.0.0.100/24",))
        self.report(VrrpTransition(instance, state, before, priority, ("10.0.0.100/24",)))

    async def _sampling(self) -> None:
        while True:
            self.sample()
            await asyncio.sleep(0.2)

    # --- in ---

    def _received(self, batch: list[sockets.Message]) -> None:
        for frames in batch:
            try:
                accepted = self.inbox.judge(frames[-1].bytes, self.memory)
            except Refused as refusal:
                self.refusals.append(refusal)
                continue
            self.seen.append(accepted.message)
            if self.obeys or not isinstance(accepted.message, State | Release):
                self.memory = accepted.memory
                if isinstance(accepted.message, Release) and self.loses_releases:
                    # Its number is used up, as when the minion is killed before it could act.
                    self.loses_releases -= 1
                    continue
                self._obey(accepted.envelope.cluster, accepted.envelope.generation, accepted.envelope.command, accepted)

    def _obey(self, cluster: str, generation: int, command: int, accepted: Any) -> None:  # noqa: C901, PLR0912
        match accepted.message:
            case State():
                self._follow(cluster)
                if self.refuses:
                    self.report(StateRefused(generation, "stage", self.refuses), cluster=cluster)
                else:
                    self.report(StateStaged(generation, (STEP,)), cluster=cluster)
            case Release(hosts) if self.name in hosts:
                self.on_release()
                if self.fails and self.fails_at in (0, generation):
                    self.report(StateRefused(generation, "apply", self.fails), cluster=cluster)
                else:
                    self.applied[cluster] = generation
                    self.report(StateApplied(generation, self.steps, 0.001), cluster=cluster)
            case Reconcile(_, announce) if self.answers:
                self.announced += announce
                self.send(Reconciled(cluster, command, self.healed, 0))
            case Examine() if self.answers:
                self.send(Examined(cluster, command, **self.examined))
            case Trial() if self.answers:
                self.send(Planned(cluster, command, (STEP,)))
            case Beacon(clusters):
                for name, position in clusters.items():
                    if name in self.memory.states and position.generation > self.applied.get(name, 0):
                        self.hello()
            case Ack(boot, sequence):
                self.acks.append((boot, sequence))
                self._kept = [event for event in self._kept if (event.boot, event.sequence) > (boot, sequence)]
                if self._asked and self._kept:
                    # Like a real minion's spool: what a master that went down did not journal comes again.
                    self.send(Events(boot, sequence, tuple(self._kept)))
                self._asked = False
