"""Which keys get past the handshake (ZAP, RFC 27): to each endpoint those accepted for it, to the join endpoint any.

Not pyzmq's authenticator: an exception in a callback ends that one for good, and it closes its socket before its poll
has let go of the file descriptor, which makes a socket deaf that gets the same descriptor next.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from typing import Final

import zmq
import zmq.asyncio
from zmq.utils import z85

from lbservice import sockets

from .endpoints import JOIN

logger = logging.getLogger(__name__)

ENDPOINT: Final = "inproc://zeromq.zap.01"
VERSION: Final = b"1.0"
HEADER: Final = 8
"""Frames before the credentials: routing id, empty, version, request id, domain, address, identity, mechanism."""
KEY_BYTES: Final = 32


class Authenticator:
    """Bind it before any other socket of the context; `accepted`: ZAP domain -> Z85 keys (text), which may change."""

    def __init__(self, context: zmq.asyncio.Context, accepted: Mapping[str, Container[str]]) -> None:
        self._accepted = accepted
        self._refused = 0
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(ENDPOINT)

    async def run(self) -> None:
        """Answer until cancelled."""
        await sockets.read(self._socket, self._handle)

    def close(self) -> None:
        self._socket.close(0)

    def _handle(self, batch: list[sockets.Message]) -> None:
        for message in batch:
            frames = [frame.bytes for frame in message]
            if len(frames) < HEADER or frames[2] != VERSION:
                logger.error("libzmq asks for a handshake in a way that this release does not know")
                continue
            user = self._admitted(frames[4], frames[7], frames[HEADER:])
            if not user:
                self._say_refused(frames[5].decode(errors="replace"))
            status = [b"200", b"OK", user, b""] if user else [b"400", b"not accepted", b"", b""]
            sockets.send(self._socket, [frames[0], b"", VERSION, frames[3], *status])

    def _say_refused(self, address: str) -> None:
        """Log the first, and then as many as it takes to see that there are many: a flood must not fill the log."""
        self._refused += 1
        if self._refused & (self._refused - 1) == 0:
            logger.info("a handshake from %s is refused: its key is not accepted (the %dth)", address, self._refused)

    def _admitted(self, domain: bytes, mechanism: bytes, credentials: list[bytes]) -> bytes:
        """Give the key (Z85) if it may pass, else nothing."""
        if mechanism != b"CURVE" or len(credentials) != 1 or len(credentials[0]) != KEY_BYTES:
            return b""
        key = z85.encode(credentials[0])
        name = domain.decode(errors="replace")
        return key if name == JOIN or key.decode("ascii") in self._accepted.get(name, ()) else b""
