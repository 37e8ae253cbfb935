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
from .authenticator import Authenticator
from .bus import Bus
from .clusters import Clusters
from .config import Config
from .control import Server
from .dispatch import Dispatch
from .endpoints import Broadcast
from .enrolment import JoinEndpoint
from .errors import StartupError
from .master import TICK_SECONDS, Master
from .pushes import Pushes
from .signing import Signer
from .store import open_store
from .uplink import Uplink
from .verbs import READ_ONLY, Verbs
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
    try:
        async with running(config) as ports:
            notifier.ready(f"broadcast {ports['broadcast']}, uplink {ports['uplink']}, join {ports['join']}")
            watchdog = asyncio.create_task(notifier.watchdog(), name="watchdog")
            try:
                await stop.wait()
            finally:
                watchdog.cancel()
                notifier.stopping()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    logger.info("stopped")


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[dict[str, int]]:
    """Run the master while the block runs; gives the ports of its endpoints. Raises `StartupError`."""
    keys = identity.load(config.state_dir)
    try:
        private_directory(config.runtime_dir, 0o755)
    except OSError as error:
        raise StartupError(f"cannot make {config.runtime_dir}: {error.strerror}; check runtime_dir") from error
    async with contextlib.AsyncExitStack() as stack:
        store = open_store(config.database)
        stack.callback(store.close)
        context = zmq.asyncio.Context(io_threads=1)
        context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        stack.callback(context.destroy, 0)
        keyring = store.keyring
        authenticator = Authenticator(context, keyring.accepted)
        stack.callback(authenticator.close)

        signer = Signer(keys.signing)
        clusters, view, bus = Clusters(store.generations, signer), View(), Bus(store.journal)
        broadcast = Broadcast(zmq.Context.shadow(context.underlying), keys.curve, config)
        stack.callback(broadcast.close)
        uplink = Uplink(context, keys.curve, config, keyring.accepted)
        stack.callback(uplink.close)
        dispatch = Dispatch(broadcast, uplink, signer, store.generations, clusters)
        master = Master(config, store, clusters, view, dispatch, bus)
        pushes = Pushes(
            store.generations, keyring, clusters, view, dispatch, signer, master.report, config.return_grace
        )
        master.pushes = pushes

        def welcome() -> JoinAnswer:
            return JoinAnswer("accepted", "welcome", keys.signing_public, broadcast.port, uplink.port)

        joining = JoinEndpoint(context, keys.curve, config, keyring, welcome, master.report)
        stack.callback(joining.close)
        ports = {"broadcast": broadcast.port, "uplink": uplink.port, "join": joining.port}
        verbs = Verbs(
            product(), ports, fingerprint(keys.curve.public), store, clusters, view, bus, master, pushes, broadcast,
            uplink, asyncio.get_running_loop().time,
        )  # fmt: skip
        for path, mode, group, allowed in (
            (config.control_socket, 0o600, "", verbs.table.keys()),
            (config.events_socket, 0o660, config.events_group, READ_ONLY),
        ):
            server = Server(path, verbs.table, allowed)
            await server.start(mode, group)
            stack.push_async_callback(server.stop)

        stack.callback(master.stop)
        stack.callback(pushes.stop)
        pushes.resume()
        async with asyncio.TaskGroup() as tasks:
            jobs = [
                tasks.create_task(authenticator.run(), name="handshakes"),
                tasks.create_task(uplink.run(master.receive), name="uplink"),
                tasks.create_task(joining.run(), name="join"),
                tasks.create_task(_every(TICK_SECONDS, master.tick), name="tick"),
                tasks.create_task(_every(config.beacon, master.beacon), name="beacon"),
            ]
            try:
                yield ports
            finally:
                for job in jobs:
                    job.cancel()


async def _every(seconds: float, do: Callable[[], None]) -> None:
    while True:
        do()
        await asyncio.sleep(seconds)
