"""Those who attack: they hold a key, or none, and speak ZeroMQ as they please."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from lbservice.keys import CurvePair


@contextmanager
def connected(
    kind: int, port: int, server_key: bytes, keys: CurvePair | None, *, queue: int = 1000, plain: bool = False
) -> Iterator[zmq.Socket[bytes]]:
    """Connect a socket that speaks CURVE with these keys; None: without any protection (NULL)."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        socket = context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, queue)
        if keys is not None:
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (
                server_key,
                keys.public,
                keys.secret,
            )
        if plain:
            socket.plain_username, socket.plain_password = b"root", b"root"
        socket.connect(f"tcp://127.0.0.1:{port}")
        yield socket
    finally:
        context.destroy(0)


class Ear:
    """A SUB socket of somebody who wants to hear more than is for them."""

    def __init__(self, port: int, server_key: bytes, keys: CurvePair) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.curve_serverkey = server_key
        self._socket.curve_publickey, self._socket.curve_secretkey = keys.public, keys.secret
        self._socket.connect(f"tcp://127.0.0.1:{port}")

    def wants(self, *topics: bytes) -> None:
        for topic in topics:
            self._socket.subscribe(topic)

    def heard(self) -> list[bytes]:
        """Give the topics of what has come since the last time."""
        topics = []
        while self._socket.poll(0):
            topics.append(self._socket.recv_multipart()[0])
        return topics

    async def hears(self, topic: bytes, seconds: float = 10.0) -> list[bytes]:
        """Wait for a topic; gives all that came until then."""
        topics: list[bytes] = []
        deadline = asyncio.get_running_loop().time() + seconds
        while topic not in topics:
            assert asyncio.get_running_loop().time() < deadline, f"{topic!r} was not heard, but {topics}"
            await asyncio.sleep(0.02)
            topics += self.heard()
        return topics

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@contextmanager
def ear(port: int, server_key: bytes, keys: CurvePair) -> Iterator[Ear]:
    """Listen while the block runs."""
    listening = Ear(port, server_key, keys)
    try:
        yield listening
    finally:
        listening.close()
