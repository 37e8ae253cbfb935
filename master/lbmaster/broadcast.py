"""The broadcast socket: who may hear which topic, and sending.

A subscription is granted by the key of its connection (an XPUB socket in manual mode, whose messages carry the User-Id
of the handshake), so a captured host hears the roles that it has anyway, and no others. A subscription is a prefix: only
whole topics are granted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container
from contextlib import suppress
from typing import Final

import zmq
import zmq.asyncio

from lbservice import sockets
from lbservice.keys import CurvePair

from .config import Config
from .endpoints import BROADCAST_QUEUE, MINION, REBIND_SECONDS, REBIND_TRIES, bind, prepare, property_of

logger = logging.getLogger(__name__)

SUBSCRIBE: Final = b"\x01"
UNSUBSCRIBE: Final = b"\x00"
ASKING_BYTES: Final = 1024
"""Room for a topic, and for the handshake before it: nothing longer is read."""
SWEEP_SECONDS: Final = 2.0

Granted = Callable[[str], Container[bytes]]
"""User-Id (a CURVE public key in Z85) -> the topics that it may hear now."""


class Broadcast:
    """Sends to every minion that has subscribed to the topic. Who is slow or away misses it; beacons make up for that.

    `denied` is told (User-Id, topic) of subscriptions that are not granted.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        keys: CurvePair,
        config: Config,
        granted: Granted,
        denied: Callable[[str, bytes], None],
    ) -> None:
        self._context, self._keys, self._config = context, keys, config
        self._granted, self._denied = granted, denied
        self._heard: dict[str, set[bytes]] = {}
        self._overdue: frozenset[str] = frozenset()
        self._socket = self._make()
        self._reader: asyncio.Task[None] | None = None
        self._renewing = asyncio.Lock()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.port = bind(self._socket, "broadcast", "broadcast_port", config.broadcast_port, config)

    def _make(self) -> zmq.asyncio.Socket:
        socket = self._context.socket(zmq.XPUB)
        socket.setsockopt(zmq.SNDHWM, BROADCAST_QUEUE)
        prepare(socket, self._keys, MINION, self._config)
        socket.setsockopt(zmq.MAXMSGSIZE, ASKING_BYTES)
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        return socket

    def send(self, topic: bytes, raw: bytes) -> None:
        sockets.send(self._socket, [topic, raw])

    async def run(self) -> None:
        """Decide on subscriptions until cancelled, and end connections that go on hearing what they may not any more."""
        self._read()
        try:
            while True:
                await asyncio.wait((self._failed,), timeout=SWEEP_SECONDS)
                if self._failed.done():
                    self._failed.result()
                if self._stubborn():
                    await self.renew()
        finally:
            await self._stop_reading()

    def _read(self) -> None:
        # One at a time: what is set on the socket applies to the connection of the message that was taken last.
        self._reader = asyncio.create_task(sockets.read(self._socket, self._asked, most=1), name="subscriptions")
        self._reader.add_done_callback(self._ended)

    def _ended(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled() and (error := reader.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def _asked(self, batch: list[sockets.Message]) -> None:
        for frames in batch:
            raw, user = frames[0].bytes, property_of(frames[0], "User-Id")
            wish, topic = raw[:1], raw[1:]
            if not user or len(frames) != 1:
                # The end of a connection: libzmq has dropped its subscriptions, and says so without a name.
                continue
            if wish == UNSUBSCRIBE:
                self._heard.get(user, set()).discard(topic)
                with suppress(zmq.ZMQError):
                    self._socket.setsockopt(zmq.UNSUBSCRIBE, topic)
            elif wish == SUBSCRIBE and topic in self._granted(user):
                self._heard.setdefault(user, set()).add(topic)
                self._socket.setsockopt(zmq.SUBSCRIBE, topic)
            else:
                self._denied(user, topic)

    def _stubborn(self) -> bool:
        """Whether a key hears what it may not, and did so at the last look as well: an honest minion needs a moment.

        A subscription can be ended only by who made it, or with its connection.
        """
        over = frozenset(
            user for user, topics in self._heard.items() if any(it not in self._granted(user) for it in topics)
        )
        stubborn, self._overdue = over & self._overdue, over
        if stubborn:
            logger.warning("every minion has to connect anew: %d hear what is not for them any more", len(stubborn))
        return bool(stubborn)

    async def renew(self) -> None:
        """End every connection, so that each has to pass the handshake again; a revoked key does not.

        What is sent before the minions are back is lost on them, until a beacon shows it. Raises `StartupError`. Once
        begun it goes on to its end, whether or not the caller still waits: a socket that is not bound reaches nobody.
        """
        await asyncio.shield(asyncio.ensure_future(self._renew()))

    async def _renew(self) -> None:
        async with self._renewing:
            await self._stop_reading()
            self._heard.clear()
            self._overdue = frozenset()
            await self._bind_anew()
            self._read()

    async def _bind_anew(self) -> None:
        self._socket.close(0)
        self._socket = self._make()
        # libzmq closes in a thread of its own: the port is free a moment later.
        for _ in range(REBIND_TRIES):
            try:
                self._socket.bind(self._config.endpoint(self.port))
            except zmq.ZMQError:
                await asyncio.sleep(REBIND_SECONDS)
            else:
                return
        bind(self._socket, "broadcast", "broadcast_port", self.port, self._config)

    def close(self) -> None:
        self._socket.close(0)
