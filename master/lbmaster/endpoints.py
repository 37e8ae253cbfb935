"""The master's three ZeroMQ sockets: how they are made, bound and protected. What is said over them is said elsewhere."""

from __future__ import annotations

import asyncio
import errno
from typing import Final

import zmq
import zmq.asyncio

from lbservice.keys import CurvePair
from lbwire.codec import LIMIT

from .config import Config
from .errors import StartupError

MINION: Final = "minion"
JOIN: Final = "join"
"""ZAP domains: which keys pass is decided for each by `authenticator`."""

HEARTBEAT_MS: Final = 2000
BACKLOG: Final = 1024
BROADCAST_QUEUE: Final = 1000
UPLINK_QUEUE: Final = 10_000
ENVELOPE_ROOM: Final = 4096
REBIND_TRIES: Final = 100
REBIND_SECONDS: Final = 0.02


def prepare(socket: zmq.Socket[bytes] | zmq.asyncio.Socket, keys: CurvePair, domain: str, config: Config) -> None:
    """Set what all three have in common: a CURVE server that asks ZAP, with bounded queues, and no lingering."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 2 * HEARTBEAT_MS)
    socket.setsockopt(zmq.MAXMSGSIZE, LIMIT + ENVELOPE_ROOM)
    socket.setsockopt(zmq.IPV6, int(":" in config.listen))
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())


def bind(socket: zmq.Socket[bytes] | zmq.asyncio.Socket, what: str, setting: str, port: int, config: Config) -> int:
    """Bind, and return the port. Raises `StartupError` that names what is in the way."""
    endpoint = config.endpoint(port)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        way_out = {
            zmq.EADDRINUSE: f"another program (or master) listens there: see `ss -ltnp`, or change {setting}",
            zmq.EADDRNOTAVAIL: "this machine has no such address: change listen",
            errno.ENODEV: "this machine has no such address: change listen",
            errno.EACCES: f"ports below 1024 are for root: change {setting}",
        }.get(error.errno or 0, "check listen and the ports")
        raise StartupError(f"cannot listen for {what} at {endpoint}: {error.strerror}; {way_out}") from error
    bound = socket.getsockopt(zmq.LAST_ENDPOINT)
    return int(bytes(bound).rstrip(b"\0").rpartition(b":")[2])


class Broadcast:
    """Sends to every minion that has subscribed to the topic. Who is slow or away misses it; beacons make up for that."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: CurvePair, config: Config) -> None:
        self._context, self._keys, self._config = context, keys, config
        self._socket = self._make()
        self._renewing = asyncio.Lock()
        self.port = bind(self._socket, "broadcast", "broadcast_port", config.broadcast_port, config)

    def _make(self) -> zmq.Socket[bytes]:
        # Not XPUB: who subscribes to what is of no use here, since a subscription says no name.
        socket = self._context.socket(zmq.PUB)
        socket.setsockopt(zmq.SNDHWM, BROADCAST_QUEUE)
        prepare(socket, self._keys, MINION, self._config)
        return socket

    def send(self, topic: bytes, raw: bytes) -> None:
        self._socket.send_multipart([topic, raw], zmq.NOBLOCK)

    async def renew(self) -> None:
        """End every connection, so that each has to pass the handshake again; a revoked key does not.

        What is sent before the minions are back is lost on them, until a beacon shows it. Raises `StartupError`. Once
        begun it goes on to its end, whether or not the caller still waits: a socket that is not bound reaches nobody.
        """
        await asyncio.shield(asyncio.ensure_future(self._renew()))

    async def _renew(self) -> None:
        async with self._renewing:
            await self._bind_anew()

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
