"""The master's process: puts the parts together, runs them, and takes them apart in order.

Start: configuration and keys, store, sockets, resume. Stop (SIGTERM, SIGINT): no more requests, readers end, the store
notes who was there, sockets close. What is under way is resumed at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from importlib.metadata import PackageNotFoundError, version

import zmq
import zmq.asyncio

from lbservice.files import private_directory
from lbservice.keys import fingerprint
from lbservice.notify import Notifier
from lbwire.join import JoinAnswer

from . import identity
from .audit import audited
from .authenticator import Authenticator
from .broadcast import Broadcast
from .bus import Bus
from .clusters import Clusters
from .config import Config
from .control import Server
from .dispatch import Dispatch
from .endpoints import CLIENT, MINION
from .enrolment import JoinEndpoint
from .errors import StartupError
from .hearing import Hearing
from .master import TICK_SECONDS, Master
from .pushes import Pushes
from .remote import RemoteServer
from .retention import Retention
from .signing import Signer
from .store import open_store
from .uplink import Uplink
from .verbs import READ_ONLY, Parts, all_verbs
from .view import View

logger = logging.getLogger(__name__)

MAX_SOCKETS = 16_384


def product() -> str:
    """Name this release."""
    try:
        return f"lbmaster {version('lbmaster')}"
    except PackageNotFoundError:
        return "lbmaster (not installed)"


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Raises `StartupError` when something is in the way, before anything was changed."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notifier = Notifier()
    watchdog = asyncio.create_task(notifier.watchdog(), name="watchdog")
    try:
        while not stop.is_set():
            anew = asyncio.Event()
            async with running(config, anew.set) as ports:
                notifier.ready(f"broadcast {ports['broadcast']}, uplink {ports['uplink']}, join {ports['join']}")
                await _either(stop, anew)
        notifier.stopping()
    finally:
        watchdog.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    logger.info("stopped")


@contextlib.asynccontextmanager
async def running(config: Config, again: Callable[[], None] = lambda: None) -> AsyncIterator[dict[str, int]]:
    """Run the master while the block runs; gives the ports of its endpoints. Raises `StartupError`.

    `again` is called when the block has to be left and entered once more: the master's keys were replaced.
    """
    identity.load(config.state_dir)
    _make_runtime_directory(config)
    async with contextlib.AsyncExitStack() as stack:
        store = open_store(config.database)
        stack.callback(store.close)
        store.rekeying.begin(config.state_dir)
        keys = identity.load(config.state_dir)
        context = zmq.asyncio.Context(io_threads=1)
        context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        stack.callback(context.destroy, 0)
        authenticator = Authenticator(context, {MINION: store.keyring.accepted, CLIENT: store.clients.accepted})
        stack.callback(authenticator.close)

        signer = Signer(keys.signing)
        clusters, view, bus = Clusters(store.generations, signer), View(), Bus(store.journal)
        hearing = Hearing(store.keyring.accepted, clusters)
        broadcast = Broadcast(context, keys.curve, config, hearing.granted, hearing.denied)
        stack.callback(broadcast.close)
        uplink = Uplink(context, keys.curve, config, store.keyring.accepted)
        stack.callback(uplink.close)
        dispatch = Dispatch(broadcast, uplink, signer, store.generations, clusters)
        master = Master(config, store, clusters, view, dispatch, bus)
        retention = Retention(store.journal, config.journal_days, config.journal_events)
        pushes = Pushes(config, store, clusters, view, dispatch, signer, master.report)
        master.pushes = pushes
        hearing.refuse, uplink.doubled = master.refusals.add, master.doubled

        def welcome() -> JoinAnswer:
            return JoinAnswer("accepted", "welcome", keys.signing_public, broadcast.port, uplink.port)

        joining = JoinEndpoint(context, keys.curve, config, store.keyring, welcome, master.report)
        stack.callback(joining.close)
        ports = {"broadcast": broadcast.port, "uplink": uplink.port, "join": joining.port}
        parts = Parts(
            product(), ports, fingerprint(keys.curve.public), store, clusters, view, bus, master, pushes, broadcast,
            uplink, asyncio.get_running_loop().time, keys, config.state_dir, again,
        )  # fmt: skip
        verbs = audited(all_verbs(parts), master.report)
        remote = [
            RemoteServer(context, keys.curve, config, store.clients, verbs, master.refusals.add)
            for _ in range(config.clients)
        ]
        for endpoint in remote:
            stack.callback(endpoint.close)
            ports["client"], store.clients.cut = endpoint.port, endpoint.cut
        operators = Server(config.control_socket, verbs, verbs.keys(), "operator")
        subscribers = Server(config.events_socket, verbs, READ_ONLY, "subscriber")
        for server, mode, group in ((operators, 0o600, ""), (subscribers, 0o660, config.events_group)):
            await server.start(mode, group)
            stack.push_async_callback(server.stop)

        stack.callback(master.stop)
        stack.callback(pushes.stop)
        pushes.resume()
        async with asyncio.TaskGroup() as tasks:
            jobs = [
                tasks.create_task(authenticator.run(), name="handshakes"),
                tasks.create_task(broadcast.run(), name="broadcast"),
                tasks.create_task(uplink.run(master.receive), name="uplink"),
                tasks.create_task(joining.run(), name="join"),
                tasks.create_task(_every(TICK_SECONDS, master.tick), name="tick"),
                tasks.create_task(_every(config.beacon, master.beacon), name="beacon"),
                tasks.create_task(retention.run(), name="retention"),
            ]
            jobs += [tasks.create_task(endpoint.run(), name="clients") for endpoint in remote]
            try:
                yield ports
            finally:
                for job in jobs:
                    job.cancel()


async def _either(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _make_runtime_directory(config: Config) -> None:
    try:
        private_directory(config.runtime_dir, 0o755)
    except OSError as error:
        raise StartupError(f"cannot make {config.runtime_dir}: {error.strerror}; check runtime_dir") from error


async def _every(seconds: float, do: Callable[[], None]) -> None:
    while True:
        do()
        await asyncio.sleep(seconds)
