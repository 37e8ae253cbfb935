"""Events reach the master's journal in order, each once, over a link that loses, repeats and breaks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmaster.bus import Bus
from lbmaster.clusters import Clusters
from lbmaster.config import Config
from lbmaster.intake import admit
from lbmaster.keyring import Enrolment
from lbmaster.master import Master as RealMaster
from lbmaster.rekeying import Announced
from lbmaster.signing import Signer
from lbmaster.store import MIGRATIONS, SCHEMA, VERSION, Store
from lbmaster.uplink import Received
from lbmaster.view import View
from lbminion import delivery as module
from lbminion.delivery import Delivery
from lbminion.spool import NOTHING, Position, Spool
from lbminion.store import open_store
from lbservice.database import open_database
from lbwire.event_types import decode_data
from lbwire.events import Data, DriftGone, EventsLost, KeepalivedStarted, StateStaged, VrrpTransition
from lbwire.messages import Event, Events, Hello


class Master:
    """Takes what the real master would take into its journal, and acknowledges its last."""

    def __init__(self) -> None:
        self.journal: list[Position] = []
        self.events: list[Event] = []

    @property
    def last(self) -> Position:
        return self.journal[-1] if self.journal else NOTHING

    def receive(self, message: Events) -> Position:
        admitted = admit(message, self.last).events
        self.events += admitted
        self.journal += [(event.boot, event.sequence) for event in admitted]
        return self.last


def spool_with(tmp_path: Path, count: int) -> Spool:
    spool = Spool(open_store(tmp_path), lambda: None)
    add(spool, count)
    return spool


def add(spool: Spool, count: int) -> None:
    import asyncio

    async def raise_events() -> None:
        for number in range(count):
            spool.add(KeepalivedStarted(str(number)))
        spool.flush()

    asyncio.run(raise_events())


def test_nothing_is_sent_before_the_master_has_said_what_it_has(tmp_path: Path) -> None:
    """Else a new connection would begin with events that the master must refuse as a gap."""
    sent: list[Events] = []
    delivery = Delivery(spool_with(tmp_path, 3), lambda message: not sent.append(message))
    delivery.pump()
    delivery.connected()
    delivery.pump()
    assert sent == []
    delivery.acknowledged(NOTHING)
    assert [event.sequence for message in sent for event in message.events] == [1, 2, 3]


def test_no_more_than_a_window_is_under_way(tmp_path: Path) -> None:
    """A master that does not acknowledge is not buried."""
    sent: list[Events] = []
    delivery = Delivery(spool_with(tmp_path, 2 * module.WINDOW), lambda message: not sent.append(message))
    delivery.connected()
    delivery.acknowledged(NOTHING)
    assert sum(len(message.events) for message in sent) == module.WINDOW
    last = sent[-1].events[-1]
    delivery.acknowledged((last.boot, last.sequence))
    assert sum(len(message.events) for message in sent) == 2 * module.WINDOW


def test_the_same_acknowledgement_twice_goes_back_at_once(tmp_path: Path) -> None:
    """It says that the master saw a gap."""
    sent: list[Events] = []
    spool = spool_with(tmp_path, 3)
    delivery = Delivery(spool, lambda message: not sent.append(message))
    delivery.connected()
    delivery.acknowledged(NOTHING)
    delivery.acknowledged((spool.boot, 1))
    sent.clear()
    delivery.acknowledged((spool.boot, 1))
    assert [event.sequence for message in sent for event in message.events] == [2, 3]


def test_silence_is_answered_by_sending_again(tmp_path: Path) -> None:
    """An acknowledgement can be lost, too."""
    sent: list[Events] = []
    delivery = Delivery(spool_with(tmp_path, 2), lambda message: not sent.append(message))
    delivery.connected()
    delivery.acknowledged(NOTHING)
    sent.clear()
    for _ in range(module.PATIENCE_TICKS):
        delivery.tick()
    assert [event.sequence for message in sent for event in message.events] == [1, 2]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.5))
def test_all_events_arrive_once_and_in_order_whatever_is_lost(tmp_path_factory: object, seed: int, loss: float) -> None:
    """Messages and acknowledgements get lost, connections break; in the end the journal is complete."""
    random = Random(seed)
    spool = Spool(open_store(tmp_path_factory.mktemp("spool")), lambda: None)  # type: ignore[attr-defined]
    master = Master()
    answers: list[Position] = []

    def send(message: Events) -> bool:
        if random.random() < 0.1:
            return False
        if random.random() >= loss:
            answers.append(master.receive(message))
        return True

    delivery = Delivery(spool, send)
    total = 0
    for _ in range(60):
        happening = random.random()
        if happening < 0.3:
            add(spool, count := random.randint(1, 40))
            total += count
            delivery.pump()
        elif happening < 0.4:
            answers.clear()
            delivery.connected()
            answers.append(master.last)
        elif answers and random.random() >= loss:
            delivery.acknowledged(answers.pop(0))
        else:
            delivery.tick()
    loss = 0.0
    delivery.connected()
    delivery.acknowledged(master.last)
    for _ in range(200):
        while answers:
            delivery.acknowledged(answers.pop(0))
        delivery.tick()
    assert master.journal == [(spool.boot, sequence) for sequence in range(1, total + 1)]
    assert spool.oldest() == NOTHING


def test_a_master_that_lost_what_it_acknowledged_gets_the_rest(tmp_path: Path) -> None:
    """After a power cut, or from an old backup: what the minion has forgotten is a gap, not the end of all delivery."""
    spool = spool_with(tmp_path, 10)
    master = Master()

    def send(message: Events) -> bool:
        master.receive(message)
        return True

    delivery = Delivery(spool, send)
    delivery.connected()
    delivery.acknowledged(NOTHING)
    delivery.acknowledged(master.last)
    master.journal = master.journal[:5]
    add(spool, 2)
    restarted = Spool(open_store(tmp_path), lambda: None)
    add(restarted, 2)
    delivery = Delivery(restarted, send)
    delivery.connected()
    delivery.acknowledged(master.last)
    assert [sequence for boot, sequence in master.journal if boot == spool.boot] == [1, 2, 3, 4, 5, 11, 12]
    assert [sequence for boot, sequence in master.journal if boot == restarted.boot] == [1, 2]


def test_large_events_are_not_all_sent_at_once(tmp_path: Path) -> None:
    """A master that is slow to acknowledge must not have a minion queue gigabytes."""
    import asyncio

    spool = Spool(open_store(tmp_path), lambda: None, 512 * 1024 * 1024)

    async def raise_events() -> None:
        for _ in range(200):
            spool.add(KeepalivedStarted("x" * 700_000))
        spool.flush()

    asyncio.run(raise_events())
    sent: list[int] = []
    delivery = Delivery(spool, lambda message: not sent.append(len(message.events)))
    delivery.connected()
    delivery.acknowledged(NOTHING)
    assert len(sent) == module.MESSAGES
    assert sum(sent) < 200
    delivery.acknowledged((spool.boot, sum(sent[:2])))
    assert len(sent) == module.MESSAGES + 2


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.5))
def test_what_does_not_fit_is_counted_exactly_whatever_happens_meanwhile(  # noqa: C901 - a story
    tmp_path_factory: pytest.TempPathFactory, seed: int, loss: float
) -> None:
    """Messages get lost, connections break, the minion restarts, the spool overflows: each event is told or counted."""
    random = Random(seed)
    folder = tmp_path_factory.mktemp("spool")
    master = Master()
    answers: list[Position] = []
    raised = Counter[str]()

    def send(message: Events) -> bool:
        if random.random() < 0.1:
            return False
        if random.random() >= loss:
            answers.append(master.receive(message))
        return True

    def start() -> tuple[Spool, Delivery]:
        spool = Spool(open_store(folder), lambda: None, 16_000)
        return spool, Delivery(spool, send)

    spool, delivery = start()
    for _ in range(80):
        happening = random.random()
        if happening < 0.4:
            data = random.choice([DriftGone(()), StateStaged(1, ()), VrrpTransition("www", "MASTER", "", 1)])
            count = random.randint(1, 60) if not isinstance(data, VrrpTransition) else 2
            add_these(spool, [data] * count)
            raised[data.TYPE] += count
            delivery.pump()
        elif happening < 0.45:
            answers.clear()
            spool, delivery = start()
        elif happening < 0.55:
            answers.clear()
            delivery.connected()
            answers.append(master.last)
        elif answers and random.random() >= loss:
            delivery.acknowledged(answers.pop(0))
        else:
            delivery.tick()
    loss = 0.0
    answers.clear()
    delivery.connected()
    delivery.acknowledged(master.last)
    for _ in range(1000):
        while answers:
            delivery.acknowledged(answers.pop(0))
        delivery.tick()
    assert spool.oldest() == NOTHING
    assert master.journal == sorted(set(master.journal))
    told = Counter[str]()
    for event in master.events:
        data = decode_data(event.type, event.data)
        told.update(data.types if isinstance(data, EventsLost) else {event.type: 1})
    assert told == raised
    assert sum(event.type == VrrpTransition.TYPE for event in master.events) == raised[VrrpTransition.TYPE]


def add_these(spool: Spool, data: list[Data]) -> None:
    import asyncio

    async def raise_events() -> None:
        for one in data:
            spool.add(one)
        spool.flush()

    asyncio.run(raise_events())


def test_a_master_that_does_not_answer_is_to_be_asked_again(tmp_path: Path) -> None:
    """Its answer was lost, or it did not listen to this host: without one no event would be sent on this connection."""
    sent: list[Events] = []
    delivery = Delivery(spool_with(tmp_path, 2), lambda message: not sent.append(message))
    waiting = [False] * (module.PATIENCE_TICKS - 1)
    delivery.tick()
    delivery.connected()
    assert [delivery.tick() for _ in range(2 * module.PATIENCE_TICKS)] == 2 * [*waiting, True]
    assert sent == []
    delivery.acknowledged(NOTHING)
    assert not any(delivery.tick() for _ in range(2 * module.PATIENCE_TICKS))
    delivery.connected()
    assert [delivery.tick() for _ in range(module.PATIENCE_TICKS)] == [*waiting, True]


async def test_a_master_whose_disk_takes_nothing_answers_a_hello_all_the_same(tmp_path: Path) -> None:
    """What it has to note of a hello waits for the disk; what it says to let the events come does not."""
    connection = open_database(tmp_path / "store.sqlite", SCHEMA, VERSION, MIGRATIONS)
    store, dispatch = Store(connection), Answers()
    store.rekeying.announced = Announced(1, b"", "")
    clusters = Clusters(store.generations, Signer(Ed25519PrivateKey.generate()))
    master = RealMaster(Config(), store, clusters, View(), dispatch, Bus(store.journal))  # type: ignore[arg-type]
    sender = Enrolment(7, "r1", b"key", "accepted", 0.0, None, "", online=True)
    connection.execute("PRAGMA query_only = ON")
    master.receive([Received(sender, "10.0.0.1", Hello("lbminion", "2.2.7", 1, 1, {}, successor=1), "key")])
    assert dispatch.acked == [("r1", 0, 0)]


class Answers:
    """Collects what the master acknowledges."""

    def __init__(self) -> None:
        self.acked: list[tuple[str, int, int]] = []

    def ack(self, host: str, boot: int, sequence: int) -> None:
        self.acked.append((host, boot, sequence))
