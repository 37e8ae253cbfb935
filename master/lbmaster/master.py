"""What the master does with what comes in: journals events, keeps the view, reacts, acknowledges, makes up for losses.

Everything here runs in the event loop and waits for nothing: a batch of messages goes through in one pass, with one
transaction for all its events and one acknowledgement per minion. Deciding is done by the pure modules.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from lbwire.conclusions import Failover, KeyRotated, MinionDuplicate, MinionLost, MinionOnline
from lbwire.errors import Malformed, Oversized, Refused
from lbwire.event_types import decode_data, encode_data
from lbwire.events import Data, StateApplied, StateRefused, StateStaged, VrrpTransition
from lbwire.messages import Event, Events, Examined, Hello, Planned, Reconciled, Rotate, Sample

from . import catch_up, intake
from .bus import Bus
from .clusters import Clusters
from .comparisons import Comparison, Comparisons, Move, merged
from .config import Config
from .dispatch import Dispatch
from .examinations import Examinations
from .holders import Holders
from .journal import MASTER, Entry, Position
from .own_events import OwnEvents
from .pushes import Pushes
from .reactor import Causes, Due, Pace, ReconcileCluster, left_alone, react
from .refusals import Refusals
from .routes import Doubled
from .splits import Splits
from .store import Store
from .uplink import Received
from .view import Lost, Minion, View

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
ACK_AGAIN_SECONDS: Final = 0.2
CATCH_UP_SECONDS: Final = 3.0
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
        self._own = OwnEvents(bus, store.boot)
        self._positions: dict[int, Position] = store.journal.positions()
        self._acked: dict[int, float] = {}
        self._caught_up: dict[tuple[str, str], float] = {}
        self.refusals = Refusals()
        self._holders = Holders(store.generations, clusters, view)
        self._splits, self._pace = Splits(config.split_brain_grace, view.heard), Pace()
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
        causes: dict[str, Causes] = {}
        for place, received in enumerate(batch):
            try:
                self._take(received, journalled.events.get(place, ()), causes, now, wall)
            except Exception:
                # A bug of ours must not become a way to stop the master from afar: the message is skipped, and said.
                logger.exception("a message of %s could not be dealt with", received.sender.name)
        for cluster, found in causes.items():
            announce = self._left_alone(cluster, found.yielded)
            reasons = [*found.reasons, *(f"{instance} was yielded" for instance in announce)]
            if reasons:
                self._react(cluster, reasons[0], found.moves, now, announce)
                continue
            self._moved(cluster, merged(found.moves))
        self._settle_holders(now)
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
                self.refusals.add(sender.name, refusal)
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
        causes: dict[str, Causes],
        now: float,
        wall: float,
    ) -> None:
        name, message = received.sender.name, received.message
        if received.key.encode() != received.sender.public:
            self._replace_key(received)
        came = self._view.hear(name, now, wall)
        self._view.minions[name].address = received.address
        match message:
            case Hello():
                self._view.hello(name, message)
                # First of what follows, since it needs no disk: without it the minion sends no events.
                self._send_ack(received, now)
                self._store.rekeying.learned(received.sender.id, message.successor)
                self._clusters.heard(name, message.holdings)
                self._catch_up(name, now, at_once=True)
            case Sample():
                self._sampled(name, message, now)
                self._clusters.heard(name, message.holdings)
                self._holders.sampled(name, now)
                self._catch_up(name, now)
            case Events():
                for event in events:
                    self._happened(name, event, causes)
            case _:
                self._answered(received)
        if came:
            self.report(MinionOnline(self._view.minions[name].product, name))
            self._store.keyring.seen(received.sender.id, wall, online=True)

    def _answered(self, received: Received) -> None:
        """What a minion says because it was asked to, by the master or on its own host; or what cannot be read."""
        name = received.sender.name
        match received.message:
            case Planned() as plan:
                self.pushes.planned(name, plan)
            case Reconciled() as done:
                self._comparisons.answered(name, done)
            case Examined() as found:
                self.examinations.answered(name, found)
            case Rotate(public):
                if not self._store.keyring.follow_up(received.sender, public):
                    why = "the key that it wants to use is somebody else's, or was used before"
                    self.refusals.add(name, Malformed(why))
            case Refused() as refusal:
                self.refusals.add(name, refusal)

    def _sampled(self, name: str, message: Sample, now: float) -> None:
        if left_out := self._view.sampled(name, message, now):
            self.refusals.add(name, Oversized(f"{left_out} figures and roles are more than are kept of a host"))

    def _send_ack(self, received: Received, now: float) -> None:
        self._acked[received.sender.id] = now
        self._dispatch.ack(received.sender.name, *self._positions.get(received.sender.id, intake.NOTHING))

    def _acknowledge(self, journalled: Journalled, now: float) -> None:
        """Acknowledge what was journalled, once per minion; where nothing was new, say now and then what we have."""
        for sender, received in journalled.heard.items():
            if sender in journalled.news or now - self._acked.get(sender, 0.0) > ACK_AGAIN_SECONDS:
                self._send_ack(received, now)

    # --- events ---------------------------------------------------------------------------------------------------

    def _happened(self, name: str, event: Event, causes: dict[str, Causes]) -> None:
        data = decode_data(event.type, event.data) if event.type in UNDERSTOOD else None
        topology = self._clusters.current(event.cluster)
        belongs = name in topology.directors or name in topology.real_servers
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
        moves = self._holders.moves(name, event.cluster, topology, data)
        reaction = react(self._config.reaction, event.type, event.cluster, name, event.data)
        found = causes.setdefault(event.cluster, Causes())
        found.reasons += [reaction.reason] if reaction is not None else []
        found.moves += moves
        if name in topology.directors and isinstance(data, VrrpTransition) and data.yields:
            found.yielded.setdefault(data.instance, set()).add(name)

    def _settle_holders(self, now: float) -> None:
        for cluster, move in self._holders.believe(now):
            self._react(
                cluster, f"{move.instance} is held by {move.target}, as its samples say", [move], now, (move.instance,)
            )
        try:
            self._holders.keep()
        except sqlite3.Error:
            logger.exception("who holds a VIP cannot be kept: is the disk full?")

    # --- reactions ------------------------------------------------------------------------------------------------

    def _react(
        self, cluster: str, reason: str, moves: Sequence[Move], now: float, announce: tuple[str, ...] = ()
    ) -> None:
        for due in self._pace.ask(cluster, reason, moves, now, announce):
            self._do(due, now)

    def _left_alone(self, cluster: str, yielded: Mapping[str, set[str]]) -> tuple[str, ...]:
        return left_alone(yielded, self._view.masters(self._clusters.current(cluster))) if yielded else ()

    def _do(self, due: Due, now: float) -> None:
        try:
            comparison = self._compare(due, now, self._config.reconcile_deadline)
        except sqlite3.Error:
            logger.exception("%s: no command number can be kept, so nothing is sent: is the disk full?", due.cluster)
            # Nobody tells of them again, and the master's own events wait for the disk.
            self._moved(due.cluster, due.moves)
        else:
            comparison.started = due.since

    def _moved(self, cluster: str, moves: Iterable[Move]) -> None:
        """Tell of VIPs that moved, and that nothing is compared for."""
        for move in moves:
            self.report(Failover(move.instance, move.vips, move.source, move.target, 0.0, {}, ()), cluster)

    def _compare(self, due: Due, now: float, seconds: float) -> Comparison:
        command = self._dispatch.reconcile(due.cluster, due.reason, due.announce)
        hosts = [host for host in self._clusters.current(due.cluster).hosts if self._view.is_there(host)]
        comparison = self._comparisons.begin(due.cluster, command, hosts, now, seconds, due.moves)
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
        now = self._loop.time()
        comparison = self._compare(Due(cluster, reason, (), now), now, seconds)
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
        self._own.journal()
        try:
            with self._own.together():
                self._look(self._loop.time())
        except sqlite3.Error:
            logger.exception("the store cannot be written: is the disk full?")

    def _look(self, now: float) -> None:
        for lost in self._view.expire(now, self._config.lease):
            self._lost(lost)
        masters = {
            (cluster, instance): hosts
            for cluster in self._store.generations.clusters
            for instance, hosts in self._view.masters(self._clusters.current(cluster)).items()
        }
        for cluster, data in self._splits.look(masters, now):
            self.report(data, cluster)
        for due in self._pace.due():
            self._do(due, now)
        for cluster, count in self._pace.left_out().items():
            logger.warning("%s: %d reactions too many are left out", cluster, count)
        self._settle(now)
        for refused in self.refusals.due(now):
            self.report(refused)
        for cluster in self._store.generations.clusters:
            self._store.generations.reserve(cluster)

    def _lost(self, lost: Lost) -> None:
        """Tell of a minion whose lease ran out: only once, so that a full disk must not keep it from anybody."""
        clusters = list(self._clusters.of_host(lost.name))
        worked_on = any(self.pushes.in_maintenance(cluster, lost.name) for cluster in clusters)
        self.report(MinionLost(lost.silent, lost.roles, lost.name, worked_on))
        try:
            self.pushes.lost(lost.name)
            enrolment = self._store.keyring.by_name(lost.name)
            if enrolment is not None:
                seen = self._view.minions[lost.name].seen or enrolment.last_seen or time.time()
                self._store.keyring.seen(enrolment.id, seen, online=False)
        except sqlite3.Error:
            logger.exception("that %s is lost cannot be kept: is the disk full?", lost.name)
        # One of two MASTERs that lost its power, say, tells nobody that it yields.
        held = {instance: {lost.name} for instance, state in lost.roles.items() if state == "MASTER"}
        for cluster in clusters:
            if announce := self._left_alone(cluster, held):
                reason = f"{lost.name} is lost, which held {announce[0]}, too"
                self._react(cluster, reason, [], self._loop.time(), announce)

    def _replace_key(self, received: Received) -> None:
        """A minion has used its next key."""
        old = received.sender
        new = self._store.keyring.replaced(old, received.key.encode())
        if new is not None:
            self.report(KeyRotated(new.fingerprint, old.fingerprint, new.name))

    def beacon(self) -> None:
        self._dispatch.beacon()
        if self._store.rekeying.announced is not None:
            self._dispatch.to_everybody(self._store.rekeying.announced.raw)

    def stop(self) -> None:
        """Note who is there, for the next start."""
        for enrolment in self._store.keyring.accepted.values():
            minion = self._view.minions.get(enrolment.name)
            if minion is not None and minion.seen is not None:
                self._store.keyring.seen(enrolment.id, minion.seen, online=minion.online)

    def doubled(self, found: Doubled) -> None:
        """Two hosts use one key, or no longer do."""
        self._view.minions.setdefault(found.name, Minion()).doubled = found.addresses
        if found.addresses:
            self.report(MinionDuplicate(found.addresses, found.name))

    # --- the master's own events ----------------------------------------------------------------------------------

    def report(self, data: Data, cluster: str = "") -> None:
        """Journal a conclusion of the master's, tell the subscribers, and react to it like to any event."""
        self._own.add(data, cluster)
        plain = encode_data(data)
        reaction: ReconcileCluster | None = react(self._config.reaction, data.TYPE, cluster, MASTER, plain)
        if reaction is not None and cluster in self._store.generations.clusters:
            now = self._loop.time()
            self._react(cluster, reaction.reason, [], now)
