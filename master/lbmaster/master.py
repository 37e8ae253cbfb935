"""What the master does with what comes in: journals events, keeps the view, reacts, acknowledges, makes up for losses.

Everything here runs in the event loop and waits for nothing: a batch of messages goes through in one pass, with one
transaction for all its events and one acknowledgement per minion. Deciding is done by the pure modules.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from lbwire.errors import Refused
from lbwire.events import (
    Data,
    Failover,
    MessageRefused,
    MinionLost,
    MinionOnline,
    StateApplied,
    StateRefused,
    StateStaged,
    VrrpTransition,
    decode_data,
    encode_data,
)
from lbwire.messages import Event, Events, Examined, Hello, Planned, Reconciled, Sample

from . import catch_up, intake
from .bus import Bus
from .clusters import Clusters
from .comparisons import Comparison, Comparisons, Move
from .config import Config
from .dispatch import Dispatch
from .examinations import Examinations
from .journal import MASTER, MASTER_ENROLMENT, Entry, Position
from .pushes import Pushes
from .reactor import Brake, ReconcileCluster, react
from .splits import Splits
from .store import Store
from .topology import Topology
from .uplink import Received
from .view import View

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
ACK_AGAIN_SECONDS: Final = 0.2
CATCH_UP_SECONDS: Final = 3.0
REFUSED_SECONDS: Final = 10.0
BELIEVE_SAMPLES_SECONDS: Final = 3.0
UNDERSTOOD: Final = frozenset({VrrpTransition.TYPE, StateStaged.TYPE, StateApplied.TYPE, StateRefused.TYPE})


@dataclass(slots=True)
class Journalled:
    """What became of the events in a batch.

    `events`: place in the batch -> those that are new and true to their type. `heard`: enrolment -> the last message
    with events of that minion. `news`: the enrolments of which something was journalled.
    """

    events: dict[int, list[Event]] = field(default_factory=dict)
    heard: dict[int, Received] = field(default_factory=dict)
    news: set[int] = field(default_factory=set)


class Master:
    """Call `receive` with batches from the uplink, and `tick` every `TICK_SECONDS`."""

    def __init__(
        self, config: Config, store: Store, clusters: Clusters, view: View, dispatch: Dispatch, bus: Bus
    ) -> None:
        self._config, self._store, self._clusters = config, store, clusters
        self._view, self._dispatch, self._bus = view, dispatch, bus
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._positions: dict[int, Position] = store.journal.positions()
        self._acked: dict[int, float] = {}
        self._caught_up: dict[tuple[str, str], float] = {}
        self._refusals: dict[tuple[str, str], MessageRefused] = {}
        self._refusals_told = 0.0
        self._holders = store.generations.holders()
        self._doubts: dict[tuple[str, str], tuple[str, float]] = {}
        self._splits, self._brake = Splits(config.split_brain_grace), Brake()
        self._comparisons = Comparisons()
        self.examinations = Examinations(dispatch, clusters, view, store.journal)
        self._asked: dict[tuple[str, int], asyncio.Future[Comparison]] = {}
        self.pushes: Pushes
        for enrolment in store.keyring.accepted.values():
            if enrolment.online:
                view.assume_online(enrolment.name, self._loop.time() + config.return_grace)

    # --- in -------------------------------------------------------------------------------------------------------

    def receive(self, batch: list[Received]) -> None:
        """Deal with a batch, in its order. Whatever a minion sends, the others' messages are dealt with."""
        now, wall = self._loop.time(), time.time()
        journalled = self._journal(batch, wall)
        reactions: dict[str, tuple[str, list[Move]]] = {}
        for place, received in enumerate(batch):
            try:
                self._take(received, journalled.events.get(place, ()), reactions, now, wall)
            except Exception:
                # A bug of ours must not become a way to stop the master from afar: the message is skipped, and said.
                logger.exception("a message of %s could not be dealt with", received.sender.name)
        for cluster, (reason, moves) in reactions.items():
            self._react(cluster, reason, tuple(moves), now)
        try:
            self._settle_holders(now)
        except sqlite3.Error:
            logger.exception("who holds a VIP cannot be kept: is the disk full?")
        self._settle(now)
        self._acknowledge(journalled, now)

    def _journal(self, batch: list[Received], wall: float) -> Journalled:
        """Commit all new events of a batch at once."""
        done = Journalled()
        positions: dict[int, Position] = {}
        entries: list[Entry] = []
        for place, received in enumerate(batch):
            message, sender = received.message, received.sender
            if not isinstance(message, Events):
                continue
            last = positions.get(sender.id) or self._positions.get(sender.id, intake.NOTHING)
            try:
                fresh = intake.admit(message, last).events
            except Refused as refusal:
                self._refuse(sender.name, refusal)
                continue
            done.heard[sender.id] = received
            if fresh:
                positions[sender.id] = (fresh[-1].boot, fresh[-1].sequence)
                made = [intake.entry(event, sender.id, sender.name, wall) for event in fresh]
                entries += made
                done.events[place] = [e for e, kept in zip(fresh, made, strict=True) if kept.type == e.type]
        if not entries:
            return done
        try:
            records = self._store.journal.append(entries)
        except sqlite3.Error:
            # Not acknowledged, so the minions keep them and send them again.
            logger.exception("the journal takes no events: is the disk full?")
            return Journalled()
        self._positions.update(positions)
        done.news.update(positions)
        self._bus.publish(records)
        return done

    def _take(
        self,
        received: Received,
        events: Sequence[Event],
        reactions: dict[str, tuple[str, list[Move]]],
        now: float,
        wall: float,
    ) -> None:
        name, message = received.sender.name, received.message
        came = self._view.hear(name, now, wall)
        self._view.minions[name].address = received.address
        match message:
            case Hello():
                self._view.hello(name, message)
                self._send_ack(received, now)
                self._catch_up(name, now, at_once=True)
            case Sample():
                self._view.sampled(name, message, now)
                self._note_holders(name)
                self._catch_up(name, now)
            case Planned():
                self.pushes.planned(name, message)
            case Reconciled():
                self._comparisons.answered(name, message)
            case Examined():
                self.examinations.answered(name, message)
            case Refused():
                self._refuse(name, message)
            case Events():
                for event in events:
                    self._happened(name, event, reactions)
        if came:
            self._store.keyring.seen(received.sender.id, wall, online=True)
            self.report(MinionOnline(self._view.minions[name].product, name))

    def _send_ack(self, received: Received, now: float) -> None:
        self._acked[received.sender.id] = now
        self._dispatch.ack(received.sender.name, *self._positions.get(received.sender.id, intake.NOTHING))

    def _acknowledge(self, journalled: Journalled, now: float) -> None:
        """Acknowledge what was journalled, once per minion; where nothing was new, say now and then what we have."""
        for sender, received in journalled.heard.items():
            if sender in journalled.news or now - self._acked.get(sender, 0.0) > ACK_AGAIN_SECONDS:
                self._send_ack(received, now)

    # --- events ---------------------------------------------------------------------------------------------------

    def _happened(self, name: str, event: Event, reactions: dict[str, tuple[str, list[Move]]]) -> None:
        data = decode_data(event.type, event.data) if event.type in UNDERSTOOD else None
        topology = self._clusters.current(event.cluster)
        belongs = name in topology.hosts
        match data:
            case VrrpTransition():
                self._view.transition(name, data)
            case StateStaged() if event.cluster in self.pushes.running:
                self.pushes.running[event.cluster].staged(name, data.generation, data.steps)
            case StateStaged():
                self._catch_up(name, self._loop.time(), staged=(event.cluster, data.generation))
            case StateApplied() if event.cluster in self.pushes.running:
                self.pushes.running[event.cluster].applied(name, data.generation, data.steps)
            case StateRefused() if event.cluster in self.pushes.running:
                self.pushes.running[event.cluster].refused(name, data.generation, data.phase, data.reason)
        if not belongs:
            return
        moves = self._moves(name, event.cluster, topology, data)
        reaction = react(self._config.reaction, event.type, event.cluster, name, event.data)
        if reaction is not None:
            _, waiting = reactions.setdefault(event.cluster, (reaction.reason, []))
            waiting += moves
        else:
            for move in moves:
                self.report(Failover(move.instance, move.vips, move.source, move.target, 0.0, {}, ()), event.cluster)

    def _moves(self, name: str, cluster: str, topology: Topology, data: Data | None) -> list[Move]:
        """Tell whether a VIP's MASTER moved; one that left and came back (keepalived restarts an election) did not."""
        if not isinstance(data, VrrpTransition) or data.state != "MASTER":
            return []
        if name not in topology.directors or data.instance not in topology.instances:
            return []
        before = self._holders.get((cluster, data.instance), "")
        if before == name:
            return []
        self._set_holder(cluster, data.instance, name)
        return [Move(data.instance, topology.instances[data.instance], before, name)]

    def _set_holder(self, cluster: str, instance: str, host: str) -> None:
        self._holders[cluster, instance] = host
        self._store.generations.set_holder(cluster, instance, host)

    def _note_holders(self, name: str) -> None:
        """Doubt the holder where samples contradict it: one director says MASTER, and the holder itself does not."""
        for cluster in self._clusters.of_host(name):
            topology = self._clusters.current(cluster)
            for instance, masters in self._view.masters(topology).items():
                if len(masters) == 1 and masters[0] != self._holders.get((cluster, instance)) and masters[0] == name:
                    holder = self._view.minions.get(self._holders.get((cluster, instance), ""))
                    role = holder.roles.get(instance) if holder is not None and holder.believed else None
                    if role is not None and role.state != "MASTER":
                        self._doubts.setdefault((cluster, instance), (name, self._loop.time()))

    def _settle_holders(self, now: float) -> None:
        """Believe the samples when no transition has come to explain them: events can be late, and come in any order."""
        for (cluster, instance), (name, since) in list(self._doubts.items()):
            if now - since < BELIEVE_SAMPLES_SECONDS:
                continue
            del self._doubts[cluster, instance]
            topology = self._clusters.current(cluster)
            before = self._holders.get((cluster, instance), "")
            if before != name and instance in topology.instances and self._view.masters(topology)[instance] == (name,):
                self._set_holder(cluster, instance, name)
                move = Move(instance, topology.instances[instance], before, name)
                self._react(cluster, f"{instance} is held by {name}, as its samples say", (move,), now)

    # --- reactions ------------------------------------------------------------------------------------------------

    def _react(self, cluster: str, reason: str, moves: tuple[Move, ...], now: float) -> None:
        if self._brake.allows(cluster, now) or moves:
            try:
                self._compare(cluster, reason, moves, now, self._config.reconcile_deadline)
            except sqlite3.Error:
                logger.exception("%s: no command number can be kept, so nothing is sent: is the disk full?", cluster)
        else:
            logger.warning("%s: too many reactions, this one is left out: %s", cluster, reason)

    def _compare(self, cluster: str, reason: str, moves: tuple[Move, ...], now: float, seconds: float) -> Comparison:
        command = self._dispatch.reconcile(cluster, reason)
        hosts = [host for host in self._clusters.current(cluster).hosts if self._view.is_there(host)]
        comparison = self._comparisons.begin(cluster, command, hosts, now, seconds, moves)
        self._loop.call_at(comparison.deadline, self._settle_now)
        return comparison

    def _settle_now(self) -> None:
        self._settle(self._loop.time())

    def _settle(self, now: float) -> None:
        """Report the comparisons that are over."""
        for comparison in self._comparisons.over(now):
            for failover in comparison.failovers(self._loop.time()):
                self.report(failover, comparison.cluster)
            asked = self._asked.pop((comparison.cluster, comparison.command), None)
            if asked is not None and not asked.done():
                asked.set_result(comparison)

    async def reconcile(self, cluster: str, reason: str, seconds: float) -> Comparison:
        """Have a cluster compare and heal; returns when every host that is there has answered, or time is up."""
        comparison = self._compare(cluster, reason, (), self._loop.time(), seconds)
        asked: asyncio.Future[Comparison] = self._loop.create_future()
        self._asked[cluster, comparison.command] = asked
        self._settle_now()
        return await asked

    # --- making up for losses -------------------------------------------------------------------------------------

    def _catch_up(self, name: str, now: float, *, at_once: bool = False, staged: tuple[str, int] = ("", 0)) -> None:
        """Send what a host has missed. `staged`: it has just said that it staged this."""
        for cluster in self._clusters.of_host(name):
            holding = self._view.holding(name, cluster)
            if self.pushes.heard(name, cluster, holding, hello=at_once):
                continue
            if cluster == staged[0]:
                holding = msgspec.structs.replace(holding, staged=staged[1])
            elif not at_once and now - self._caught_up.get((name, cluster), 0.0) < CATCH_UP_SECONDS:
                continue
            released = self._store.generations.clusters[cluster].released
            match catch_up.owed(holding, released, belongs=name in self._clusters.current(cluster).hosts):
                case "states":
                    self._dispatch.states_to(name, cluster, released)
                case "release":
                    self._dispatch.release_to(name, cluster, released)
                case "nothing":
                    continue
            self._caught_up[name, cluster] = now

    # --- time -----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at what only time can tell: leases, split brains, refusals to report."""
        try:
            self._look(self._loop.time())
        except sqlite3.Error:
            logger.exception("the store cannot be written: is the disk full?")

    def _look(self, now: float) -> None:
        for lost in self._view.expire(now, self._config.lease):
            enrolment = self._store.keyring.by_name(lost.name)
            if enrolment is not None:
                seen = self._view.minions[lost.name].seen or enrolment.last_seen or time.time()
                self._store.keyring.seen(enrolment.id, seen, online=False)
            self.report(MinionLost(lost.silent, lost.roles, lost.name))
        masters = {
            (cluster, instance): hosts
            for cluster in self._store.generations.clusters
            for instance, hosts in self._view.masters(self._clusters.current(cluster)).items()
        }
        for cluster, data in self._splits.look(masters, now):
            self.report(data, cluster)
        self._settle(now)
        if now - self._refusals_told > REFUSED_SECONDS:
            self._refusals_told = now
            told, self._refusals = list(self._refusals.values()), {}
            for refused in told:
                self.report(refused)
        for cluster in self._store.generations.clusters:
            self._store.generations.reserve(cluster)

    def beacon(self) -> None:
        self._dispatch.beacon()

    def stop(self) -> None:
        """Note who is there, for the next start."""
        for enrolment in self._store.keyring.accepted.values():
            minion = self._view.minions.get(enrolment.name)
            if minion is not None and minion.seen is not None:
                self._store.keyring.seen(enrolment.id, minion.seen, online=minion.online)

    def _refuse(self, name: str, refusal: Refused) -> None:
        logger.warning("a message of %s is refused: %s", name, refusal)
        before = self._refusals.get((name, refusal.reason))
        count = before.count + 1 if before else 1
        self._refusals[name, refusal.reason] = MessageRefused(refusal.reason, f"from {name}: {refusal}"[:1000], count)

    # --- the master's own events ----------------------------------------------------------------------------------

    def report(self, data: Data, cluster: str = "") -> None:
        """Journal a conclusion of the master's, tell the subscribers, and react to it like to any event."""
        self._sequence += 1
        wall = time.time()
        plain: dict[str, Any] = encode_data(data)
        entry = Entry(
            MASTER_ENROLMENT, MASTER, self._store.boot, self._sequence, data.TYPE, wall, wall, cluster,
            msgspec.json.encode(plain),
        )  # fmt: skip
        try:
            self._bus.publish(self._store.journal.append([entry]))
        except sqlite3.Error:
            logger.exception("the journal takes no events: is the disk full? lost: %s %s", data.TYPE, plain)
        reaction: ReconcileCluster | None = react(self._config.reaction, data.TYPE, cluster, MASTER, plain)
        if reaction is not None and cluster in self._store.generations.clusters:
            now = self._loop.time()
            self._react(cluster, reaction.reason, (), now)
