"""`lbminion run`: puts the parts together, keeps them running, and takes them apart in order.

Stopping the minion changes nothing on the host: keepalived, addresses and the IPVS table go on as they are.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from lbservice.keys import fingerprint, load_or_make_curve
from lbservice.notify import Notifier
from lbstates.kinds.address import Address
from lbwire import events
from lbwire.inbox import Inbox
from lbwire.messages import Hello, Holding, Sample

from .announcements import Announcements
from .config import Config, make_directories
from .delivery import Delivery
from .doctor.examine import examine_apart
from .duties import Duties
from .errors import HostError, NoIpvs
from .examinations import Examinations
from .handlers.keepalived import KeepalivedHost
from .health.engine import Engine
from .health.probes import asker
from .health.verdicts import Verdicts, boot_id
from .holdings import Holdings
from .host import Host
from .jobs import Look
from .keepalived.control import Control, Occurrence, PutReport
from .keepalived.log import trim
from .keepalived.version import version as keepalived_version
from .ledger import Ledger
from .life import Life, lock_in
from .link import Link
from .netlink.addresses import Addresses
from .netlink.ipvs_table import Snapshot
from .netlink.link_watch import LinkWatch
from .netlink.watch import AddressWatch
from .parts import choose_manager_for, keepalived_paths
from .planner import Planner
from .product import PRODUCT
from .reconciler import Reconciler
from .rotation import Rotation
from .sampler import NO_TABLE, UNREAD, Sampler
from .spool import Spool
from .status import Status, remove_status, undone, write_status
from .store import open_store
from .trust import Trust

logger = logging.getLogger(__name__)


async def serve(config: Config) -> None:
    """Run the minion until SIGTERM or SIGINT.

    Raises `BadConfig`, `HostError`, `KeepalivedError`, `Unusable`, `OSError`.
    """
    make_directories(config)
    life = Life(lock_in(config.runtime))
    # Before anything is opened: a boot number that a second minion took would put all that the first one tells in the past.
    await life.begin()
    try:
        await Minion(config).run()
    finally:
        life.end()


class Minion:
    """All parts of the service, for one host. There must be one at a time: whoever makes it holds the lock (`Life`)."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._notifier = Notifier()
        manager = choose_manager_for(config)
        self._paths = keepalived_paths(config, manager)
        connection = open_store(config.state)
        self._trust = Trust(connection, config)
        self._holdings = Holdings(connection, self._trust.stored)
        self._spool = Spool(connection, self._committed, config.spool_bytes)
        self._addresses = Addresses()
        self._control = Control(self._paths, manager, self._occurred)
        keepalived = KeepalivedHost(self._paths, self._control, self._addresses, self._done)
        self._host = Host(self._addresses, keepalived, self._masters)
        own = load_or_make_curve(config.curve_key)
        self._link = Link(config, own, self._received, self._connected, self._refused)
        self._rotation = Rotation(config.curve_key, lambda: self._trust.transports, self._link.rekey, self._link.send)
        self._delivery = Delivery(self._spool, self._link.send)
        ledger = Ledger(connection)
        verdicts = Verdicts(connection, self._host.ipvs.in_use, config.name, boot_id())
        ask = asker(Path(config.checks_directory))
        self._health = Engine(config.name, verdicts, ask, self._spool.add, self._reweigh)
        planner = Planner(config.name, self._host, self._holdings, ledger, self._health)
        self._reconciler = Reconciler(planner, self._host, self._holdings, ledger, self._spool.add, self._link.send)
        self._examinations = Examinations(lambda: examine_apart(config), self._link.send)
        self._announcements = Announcements(self._addresses, self._held_vips)
        self._duties = Duties(
            Inbox(config.name, self._trust.live), self._holdings, self._reconciler, self._delivery, self._paths,
            self._spool.add, self._hello, self._examinations.begin, self._announcements.begin, self._trust,
        )  # fmt: skip
        self._sampler = Sampler()
        self._counted = NO_TABLE
        self._status_error = ""

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._spool.add(events.MinionStarted(PRODUCT))
        await self._control.open()
        watch = AddressWatch(self._duties.address_changed)
        await watch.open()
        links = LinkWatch(self._duties.link_changed)
        links.open()
        self._link.follow(self._holdings.following())
        self._rotation.start()
        self._reconciler.ask(Look("start"))
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self._reconciler.run(), name="reconciler"),
                    tasks.create_task(self._link.run(), name="link"),
                    tasks.create_task(self._tick(), name="ticks"),
                    tasks.create_task(self._look_now_and_then(), name="timer"),
                    tasks.create_task(self._notifier.watchdog(), name="watchdog"),
                    tasks.create_task(watch.run(), name="addresses"),
                    tasks.create_task(self._health.run(), name="health"),
                ]
                self._notifier.ready(f"{self._config.name}, master {self._config.master.address}")
                await stop.wait()
                self._notifier.stopping()
                for task in running:
                    task.cancel()
        finally:
            await self._examinations.end()
            await self._announcements.end()
            self._health.close()
            self._spool.flush()
            remove_status(self._config.runtime)
            links.close()
            await watch.close()
            self._host.close()
            await self._addresses.close()

    def _occurred(self, occurrence: Occurrence) -> None:
        self._duties.occurred(occurrence)

    def _done(self, put: PutReport) -> None:
        instances = () if put.action == "stopped" else self._control.states.states.keys()
        self._duties.done(put, instances)

    def _reweigh(self) -> None:
        self._reconciler.ask(Look("health"))

    def _masters(self) -> frozenset[str]:
        return self._duties.masters

    def _held_vips(self, instances: Collection[str]) -> list[Address]:
        return self._duties.held(instances)

    # --- the link ---------------------------------------------------------------------------------------------------

    def _received(self, raw: bytes) -> None:
        self._duties.received(raw)
        self._link.follow(self._holdings.following())

    def _connected(self) -> None:
        self._delivery.connected()
        self._sampler.forget()
        self._hello()

    def _refused(self) -> None:
        logger.error(
            "the master at %s does not accept this host's key: run `lbmaster keys accept %s` there",
            self._config.master.address, self._config.name,
        )  # fmt: skip

    def _committed(self) -> None:
        self._delivery.pump()

    def _hello(self) -> None:
        boot, sequence = self._spool.oldest()
        self._link.send(
            Hello(
                product=PRODUCT,
                keepalived=keepalived_version(self._paths) or "",
                boot=boot,
                sequence=sequence,
                holdings=self._held(),
                successor=self._trust.number,
            )
        )

    def _held(self) -> dict[str, Holding]:
        return {cluster: self._holdings.holding(cluster) for cluster in self._holdings.clusters()}

    # --- clockwork --------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Sample, every interval; the sample is also the heartbeat that renews the lease."""
        while True:
            self._sample()
            self._reconciler.tick()
            self._spool.flush()
            self._health.flush()
            if self._delivery.tick() and self._link.online:
                # A hello without an answer: what was sampled since need not have been heard either.
                self._connected()
            self._rotation.tick(online=self._link.online)
            await asyncio.sleep(self._config.sample_interval)

    def _sample(self) -> None:
        # The table is read in any case: its changes are seen by that. Without a connection nothing can be told.
        snapshot = self._count()
        self._health.counted(snapshot.statistics)
        if snapshot is NO_TABLE and not self._reconciler.looked:
            told = UNREAD
        else:
            told = self._sampler.take(snapshot if self._link.online else NO_TABLE)
        stopped = "stopped by an operator" if self._control.held else ""
        sample = Sample(
            time=time.time(),
            holdings=self._held(),
            roles=dict(self._duties.roles),
            drift=self._reconciler.outcome.drift,
            keepalived=stopped,
            health=self._health.health(),
        )
        self._write_status(sample)
        if not self._link.send(msgspec.structs.replace(sample, **told._asdict())):
            self._sampler.forget()

    def _write_status(self, sample: Sample) -> None:
        """Only people read it: that it cannot be written (the disk is full) must not end the service."""
        master, link = self._config.master.address, self._link
        said = ""
        try:
            write_status(
                self._config.runtime,
                Status(
                    self._config.name,
                    fingerprint(self._rotation.own.public),
                    master,
                    link.online,
                    link.accepted,
                    sample,
                    undone(self._reconciler.outcome),
                ),
            )
        except OSError as error:
            said = f"{error.filename}: {error.strerror}"
        if said and not self._status_error:
            logger.error("`lbminion status` shows nothing: cannot write %s", said)
        self._status_error = said

    def _count(self) -> Snapshot:
        """Read the counters; the table itself comes with them, and is compared by the next tick.

        While it cannot be read, what was counted last stands: a drain must not take that for connections that have ended.
        """
        try:
            self._counted = self._host.ipvs.snapshot() or NO_TABLE
        except HostError as error:
            logger.warning("cannot read the IPVS statistics: %s", error)
            if isinstance(error, NoIpvs):
                self._counted = NO_TABLE
        return self._counted

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._config.reconcile_interval)
            self._reconciler.ask(Look("timer"))
            try:
                trim(self._paths.log)
            except OSError as error:
                logger.warning("keepalived's log %s cannot be cut: %s", self._paths.log, error.strerror)
