"""The master's ZeroMQ sockets: how they are made, bound and protected. What is said over them is said elsewhere."""

from __future__ import annotations

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
CLIENT: Final = "client"
"""ZAP domains: which keys pass is decided for each by `authenticator`."""

HEARTBEAT_MS: Final = 2000
BACKLOG: Final = 1024
BROADCAST_QUEUE: Final = 1000
UPLINK_QUEUE: Final = 10_000
ENVELOPE_ROOM: Final = 4096
REBIND_TRIES: Final = 100
REBIND_SECONDS: Final = 0.02


def prepare(socket: zmq.Socket[bytes] | zmq.asyncio.Socket, keys: CurvePair, domain: str, config: Config) -> None:
    """Set what all have in common: a CURVE server that asks ZAP, with bounded queues, and no lingering."""
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


def property_of(frame: zmq.Frame, name: str) -> str:
    """Read what libzmq knows of the connection that a frame came by ("User-Id", "Peer-Address"); "" if nothing."""
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""
