"""The connection to the master: both sockets, their keys, and what has to be done to keep them alive.

Knows how to connect, subscribe, send and receive; what a message means is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from lbservice import sockets
from lbservice.keys import CurvePair
from lbwire import topics
from lbwire.codec import LIMIT
from lbwire.messages import FromMinion, encode

from .config import Config

logger = logging.getLogger(__name__)

HEARTBEAT_MS: Final = 2000
RECONNECT_MS: Final = (100, 5000)
CONNECT_MS: Final = 3000
"""Then a new attempt: the kernel's own repetitions of one are soon a minute apart, also when the master is back."""
REFUSED_RETRY_SECONDS: Final = (1.0, 10.0)
QUEUE: Final = 10_000


class Link:
    """One SUB socket (broadcasts) and one DEALER socket (uplink), both CURVE with the minion's own key.

    `received` gets the bytes of every signed message, from whichever socket; `connected` is called when the uplink's
    handshake has succeeded, `refused` when the master no longer accepts this key (the link goes on trying).
    """

    def __init__(
        self,
        config: Config,
        keys: CurvePair,
        received: Callable[[bytes], None],
        connected: Callable[[], None],
        refused: Callable[[], None],
    ) -> None:
        self._received, self._connected, self._refused = received, connected, refused
        self._context = zmq.asyncio.Context(io_threads=1)
        self._addresses: dict[zmq.asyncio.Socket, str] = {}
        self._uplink = self._socket(zmq.DEALER, config, keys, config.master.uplink_port)
        self._broadcast = self._socket(zmq.SUB, config, keys, config.master.broadcast_port)
        self._broadcast.subscribe(topics.BEACON)
        self._topics: set[bytes] = set()
        self._turned_away: set[zmq.asyncio.Socket] = set()
        self.online = False

    def _socket(self, kind: int, config: Config, keys: CurvePair, port: int) -> zmq.asyncio.Socket:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, QUEUE)
        socket.setsockopt(zmq.RCVHWM, QUEUE)
        socket.setsockopt(zmq.MAXMSGSIZE, LIMIT + 4096)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 2 * HEARTBEAT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS[0])
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS[1])
        socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        socket.setsockopt(zmq.IPV6, 1)
        # Nothing is queued for a master that is not there: the spool keeps what must not be lost.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.curve_serverkey = config.server_key
        socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
        host = f"[{config.master.address}]" if ":" in config.master.address else config.master.address
        self._addresses[socket] = f"tcp://{host}:{port}"
        return socket

    @property
    def accepted(self) -> bool:
        """Whether the master lets this key in, as far as is known."""
        return not self._turned_away

    def follow(self, audiences: Mapping[str, Iterable[str]]) -> None:
        """Subscribe to the broadcasts of these clusters and their audiences, and to no others."""
        wanted = {topic for cluster, of in audiences.items() for topic in topics.cluster_topics(cluster, of)}
        for topic in wanted - self._topics:
            self._broadcast.subscribe(topic)
        for topic in self._topics - wanted:
            self._broadcast.unsubscribe(topic)
        self._topics = wanted

    def send(self, message: FromMinion) -> bool:
        """Send without waiting; False when there is no connection, its queue is full, or the message is too large."""
        if not self.online:
            return False
        raw = encode(message)
        if len(raw) > LIMIT:
            # The master would end the connection at it, and again after each reconnection.
            logger.error("a %s of %d bytes is not sent, the limit is %d", type(message).__name__, len(raw), LIMIT)
            return False
        return sockets.send(self._uplink, [raw])

    async def run(self) -> None:
        """Connect, and receive until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for socket, address in self._addresses.items():
                    events = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
                    monitor = socket.get_monitor_socket(events)
                    tasks.create_task(self._watch(socket, address, monitor), name=f"watch {address}")
                    tasks.create_task(sockets.read(socket, self._handle), name=f"read {address}")
                    socket.connect(address)
        finally:
            self.online = False
            self._context.destroy(linger=0)

    def _handle(self, batch: list[sockets.Message]) -> None:
        for message in batch:
            self._received(message[-1].bytes)

    async def _watch(self, socket: zmq.asyncio.Socket, address: str, monitor: zmq.asyncio.Socket) -> None:
        """Follow the handshakes. After a refused one libzmq never tries again by itself, so we do."""
        delay = REFUSED_RETRY_SECONDS[0]
        while True:
            event = (await recv_monitor_message(monitor))["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                delay = REFUSED_RETRY_SECONDS[0]
                self._turned_away.discard(socket)
                self._note(socket, online=True)
            elif event == zmq.EVENT_DISCONNECTED:
                self._note(socket, online=False)
            else:
                self._note(socket, online=False)
                if self.accepted:
                    self._refused()
                self._turned_away.add(socket)
                socket.disconnect(address)
                await asyncio.sleep(delay)
                delay = min(2 * delay, REFUSED_RETRY_SECONDS[1])
                socket.connect(address)

    def _note(self, socket: zmq.asyncio.Socket, *, online: bool) -> None:
        if socket is not self._uplink or online == self.online:
            return
        self.online = online
        logger.info("the master is %s", "there" if online else "gone")
        if online:
            self._connected()
