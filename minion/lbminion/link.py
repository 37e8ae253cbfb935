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
GIVEN_UP_SECONDS: Final = 10.0
"""After so long without a connection and without a word from libzmq, which tells of each of its attempts, it makes none.

More than the longest time between two of them: a master that is merely down is left to libzmq, whose attempts grow rarer.
"""
QUEUE: Final = 10_000
_EVENTS: Final = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
)


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
        self._joined: set[zmq.asyncio.Socket] = set()
        self._shaken: set[zmq.asyncio.Socket] = set()
        self._running = False
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
        if kind == zmq.DEALER:
            # Nothing is queued for a master that is not there: the spool keeps what must not be lost. Not for broadcasts:
            # with it, libzmq 4.3.5 aborts the process when their connection ends while a message of two frames waits
            # (its poll has taken the first one, and the pipe gives out the second no more: libzmq#3663).
            socket.setsockopt(zmq.IMMEDIATE, 1)
        _set_keys(socket, keys, config.server_key)
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

    def rekey(self, keys: CurvePair, server_key: bytes) -> None:
        """Use other keys, and connect anew with them if this runs already."""
        for socket in self._addresses:
            self._disconnect(socket)
            _set_keys(socket, keys, server_key)
            self._note(socket, online=False)
            if self._running:
                self._connect(socket)

    def _connect(self, socket: zmq.asyncio.Socket) -> None:
        if socket not in self._joined:
            self._joined.add(socket)
            socket.connect(self._addresses[socket])

    def _disconnect(self, socket: zmq.asyncio.Socket) -> None:
        if socket in self._joined:
            self._joined.discard(socket)
            self._shaken.discard(socket)
            # What waits goes with the connection, and beacons make up for it. But libzmq aborts the process at the second
            # frame of a message whose first one it has taken before (libzmq#2163): so that message has to be read.
            sockets.drain(zmq.Socket.shadow(socket), 1)
            socket.disconnect(self._addresses[socket])

    async def run(self) -> None:
        """Connect, and receive until cancelled."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                for socket, address in self._addresses.items():
                    monitor = socket.get_monitor_socket(_EVENTS)
                    tasks.create_task(self._watch(socket, monitor), name=f"watch {address}")
                    tasks.create_task(sockets.read(socket, self._handle), name=f"read {address}")
                    self._connect(socket)
        finally:
            self.online = False
            self._context.destroy(linger=0)

    def _handle(self, batch: list[sockets.Message]) -> None:
        for message in batch:
            self._received(message[-1].bytes)

    async def _watch(self, socket: zmq.asyncio.Socket, monitor: zmq.asyncio.Socket) -> None:
        """Follow the handshakes. There are ends after which libzmq never tries again by itself, so we do.

        One is a handshake that the master refused. Any other breach of the protocol is told like every lost connection:
        another service that answers at this port, a message that is too large. Then there is nothing but silence.
        """
        delay = REFUSED_RETRY_SECONDS[0]
        while True:
            if not await monitor.poll(GIVEN_UP_SECONDS * 1000):
                if socket not in self._shaken:
                    self._disconnect(socket)
                    self._connect(socket)
                continue
            event = (await recv_monitor_message(monitor))["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                delay = REFUSED_RETRY_SECONDS[0]
                self._turned_away.discard(socket)
                self._shaken.add(socket)
                self._note(socket, online=True)
                continue
            self._shaken.discard(socket)
            self._note(socket, online=False)
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                if self.accepted:
                    self._refused()
                self._turned_away.add(socket)
                self._disconnect(socket)
                await asyncio.sleep(delay)
                delay = min(2 * delay, REFUSED_RETRY_SECONDS[1])
                self._connect(socket)

    def _note(self, socket: zmq.asyncio.Socket, *, online: bool) -> None:
        if socket is not self._uplink:
            return
        if online != self.online:
            logger.info("the master is %s", "there" if online else "gone")
        self.online = online
        if online:
            # Also when it was: of the end of a connection that we replaced ourselves nothing need be told.
            self._connected()


def _set_keys(socket: zmq.asyncio.Socket, keys: CurvePair, server_key: bytes) -> None:
    """What is set counts for the connections that are made from then on."""
    socket.curve_serverkey = server_key
    socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
