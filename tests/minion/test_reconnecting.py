"""The link when something else than the master answers, or nobody: real sockets, and the true master comes afterwards."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import zmq
import zmq.asyncio

from lbminion import link as module
from lbminion.config import Config, Master
from lbminion.keepalived.waiting import until
from lbminion.link import Link
from lbservice.keys import CurvePair, fingerprint
from lbwire import topics
from lbwire.codec import LIMIT
from lbwire.messages import Events

PATIENCE = 20
NULL_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
AFTER = b"after"


class Scene:
    """A link that runs, the master's keys, and its two ports, where nobody listens yet."""

    def __init__(self) -> None:
        self.context = zmq.asyncio.Context()
        self.keys, self.own = CurvePair(*zmq.curve_keypair()), CurvePair(*zmq.curve_keypair())
        self.received: list[bytes] = []
        self.connected = self.refused = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.made: list[zmq.asyncio.Socket] = []

    def run(self, broadcast: int, uplink: int) -> None:
        where = Master("127.0.0.1", broadcast, uplink, fingerprint(self.keys.public), "00" * 32)
        self.link = Link(Config("r1", where), self.own, self.received.append, self._connected, self._refused)
        self.tasks.append(asyncio.create_task(self.link.run()))

    def _connected(self) -> None:
        self.connected += 1

    def _refused(self) -> None:
        self.refused += 1

    def socket(self, kind: int) -> zmq.asyncio.Socket:
        """Make one of the master's sockets."""
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.curve_server, socket.curve_secretkey = True, self.keys.secret
        self.made.append(socket)
        return socket

    async def master(self, kind: int, port: int) -> zmq.asyncio.Socket:
        """Listen as the master where somebody else has just done so."""
        socket = self.socket(kind)
        assert await until(lambda: _bound(socket, port), PATIENCE)
        return socket


def _bound(socket: zmq.asyncio.Socket, port: int) -> bool:
    with suppress(zmq.ZMQError):
        socket.bind(f"tcp://127.0.0.1:{port}")
        return True
    return False


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    for task in scene.tasks:
        task.cancel()
    await asyncio.gather(*scene.tasks, return_exceptions=True)
    scene.context.destroy(0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GIVEN_UP_SECONDS", 0.5)


class Impostor:
    """Answers every connection with the same bytes; `met` is set when somebody has heard them, and has hung up."""

    def __init__(self, answer: bytes) -> None:
        self._answer, self.met = answer, asyncio.Event()

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._answer)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        self.met.set()

    async def leave(self) -> None:
        await asyncio.wait_for(self.met.wait(), PATIENCE)
        self._server.close()
        await self._server.wait_closed()


def free_port() -> int:
    """Find a port where nobody listens: not by a socket of libzmq, which goes on listening for a moment after its end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


async def heard(scene: Scene, master: zmq.asyncio.Socket) -> bool:
    """Broadcast until the link has heard it."""
    async with asyncio.timeout(PATIENCE):
        while AFTER not in scene.received:
            await master.send_multipart([topics.BEACON, AFTER])
            await asyncio.sleep(0.05)
    return True


@pytest.mark.parametrize(
    "answer",
    [b"x", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", NULL_GREETING],
    ids=["a byte", "ssh", "http", "zmtp without curve"],
)
async def test_something_else_on_the_uplinks_port_keeps_nobody_away(scene: Scene, hasty: None, answer: bytes) -> None:
    """libzmq tries no more after it; the minion does, and tells nobody that its key was refused."""
    impostor = Impostor(answer)
    uplink = await impostor.listen()
    scene.run(free_port(), uplink)
    await impostor.leave()
    await scene.master(zmq.ROUTER, uplink)
    assert await until(lambda: scene.link.online, PATIENCE)
    assert (scene.connected, scene.refused, scene.link.accepted) == (1, 0, True)


async def test_something_else_on_the_broadcasts_port_keeps_nobody_away(scene: Scene, hasty: None) -> None:
    """The uplink is there all the time, so nobody would notice."""
    impostor = Impostor(b"x")
    broadcast, router = await impostor.listen(), scene.socket(zmq.ROUTER)
    scene.run(broadcast, router.bind_to_random_port("tcp://127.0.0.1"))
    assert await until(lambda: scene.link.online, PATIENCE)
    await impostor.leave()
    assert await heard(scene, await scene.master(zmq.XPUB, broadcast))
    assert (scene.connected, scene.refused) == (1, 0)


async def test_a_message_that_is_too_large_ends_no_connection_for_ever(scene: Scene, hasty: None) -> None:
    """libzmq hangs up at it, also on the true master, and tries no more."""
    router = scene.socket(zmq.ROUTER)
    uplink = router.bind_to_random_port("tcp://127.0.0.1")
    scene.run(free_port(), uplink)
    assert await until(lambda: scene.link.online, PATIENCE)
    assert scene.link.send(Events(0, 0, ()))
    assert await router.poll(PATIENCE * 1000)
    route, _ = await router.recv_multipart()
    await router.send_multipart([route, bytes(LIMIT + 8192)])
    assert await until(lambda: not scene.link.online, PATIENCE)
    assert await until(lambda: scene.link.online, PATIENCE)
    assert (scene.connected, scene.refused) == (2, 0)


def counted(monkeypatch: pytest.MonkeyPatch, attempts: list[int]) -> None:
    """Note each connection that the link begins."""
    connect: Callable[[Link, zmq.asyncio.Socket], None] = Link._connect

    def noted(link: Link, socket: zmq.asyncio.Socket) -> None:
        attempts.append(1)
        connect(link, socket)

    monkeypatch.setattr(Link, "_connect", noted)


async def test_a_master_that_is_down_is_waited_for_quietly_by_one_connection(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it was begun anew; nothing is said meanwhile."""
    monkeypatch.setattr(module, "GIVEN_UP_SECONDS", 0.05)
    caplog.set_level(logging.DEBUG, "lbminion")
    attempts: list[int] = []
    counted(monkeypatch, attempts)
    uplink = free_port()
    scene.run(free_port(), uplink)
    assert await until(lambda: len(attempts) >= 20, PATIENCE)
    assert not caplog.records
    # From now on a handshake has the time that it has outside of tests; who waits already looks once more before.
    monkeypatch.undo()
    await asyncio.sleep(0.2)
    router = scene.socket(zmq.ROUTER)
    monitor = router.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    assert await until(lambda: _bound(router, uplink), PATIENCE)
    assert await until(lambda: scene.link.online, PATIENCE)
    assert await monitor.poll(PATIENCE * 1000)
    await monitor.recv_multipart()
    # A second connection would not be long in coming.
    assert not await monitor.poll(1000)
    assert scene.connected == 1


def test_libzmq_is_given_the_time_that_it_takes_between_two_attempts() -> None:
    """So a master that is merely down costs nothing but libzmq's own attempts, which become rarer."""
    assert module.RECONNECT_MS[1] + module.CONNECT_MS < module.GIVEN_UP_SECONDS * 1000
