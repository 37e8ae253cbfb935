"""Asking a master over the network, with a key of `lbmaster keys client`: the requests of `conversation` and `client`.

The connection is CURVE both ways: the master knows our key, and we know the master's from the key file, so nobody
between can listen or answer in its place.
"""

from __future__ import annotations

import secrets
import stat
import time
import tomllib
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, Self

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from lbservice.keys import from_fingerprint

from .protocol import LINE_LIMIT, BrokenOff, ConversationError, Json, Remote, Unreachable, decode_answer

CLIENT_PORT: Final = 7414
CONNECT_SECONDS: Final = 5.0
LINGER_MS: Final = 100
"""For the word that no more is wanted."""
SILENT_SECONDS: Final = 20.0
"""The master says every few seconds that it is there."""
OTHERS: Final = 0o077
_FAILED: Final = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


class BadKey(ConversationError):
    """The key file cannot be used; the text names it, and the way out."""


def read_key(path: Path, master: str = "") -> Remote:
    """Read a key file; `master` is HOST[:PORT], "" takes the address in the file. Raises `BadKey`."""
    try:
        if path.stat().st_mode & OTHERS and stat.S_ISREG(path.stat().st_mode):
            raise BadKey(f"{path} is readable for others than its owner: chmod 600 {path}, or make another key")
        plain = tomllib.loads(path.read_text())
        secret, server = str(plain["secret"]).encode(), from_fingerprint(str(plain["master"]))
        public = zmq.curve_public(secret)
    except OSError as error:
        raise BadKey(f"cannot read the key {path}: {error.strerror}; name it with --key") from None
    except (KeyError, ValueError, zmq.ZMQError) as error:
        raise BadKey(f"{path} is no key of `lbmaster keys client`: {error}") from None
    address = master or str(plain.get("address", ""))
    if not address:
        raise BadKey(f"{path} does not say where the master is: name it with --master")
    host, port = split(address)
    return Remote(host, port, server, public, secret)


def split(address: str) -> tuple[str, int]:
    """Part HOST[:PORT] ("[2001:db8::1]:7414" for IPv6); raises `BadKey`."""
    host, colon, port = address.rpartition(":")
    if (address.startswith("[") and address.endswith("]")) or not colon or (":" in host and not host.startswith("[")):
        host, port = address, ""
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 2**16)):
        raise BadKey(f"{address!r} is no address: give HOST, HOST:PORT or [IPV6]:PORT")
    return host.strip("[]"), int(port or CLIENT_PORT)


def _socket(context: zmq.Context[Any], remote: Remote) -> Any:  # noqa: ANN401 - of either kind of context
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 1000)
    socket.setsockopt(zmq.IPV6, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, 2 * LINE_LIMIT)
    socket.setsockopt(zmq.RCVHWM, 32)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 4000)
    # A request is for the connection it was made on: it is not repeated on another.
    socket.setsockopt(zmq.RECONNECT_IVL, -1)
    socket.curve_serverkey = remote.master
    socket.curve_publickey, socket.curve_secretkey = remote.public, remote.secret
    return socket


def _endpoint(remote: Remote) -> str:
    return f"tcp://{remote}"


def _unreachable(remote: Remote, refused: bool) -> Unreachable:
    if refused:
        return Unreachable(
            remote, "this key is not accepted", "was it revoked? make another: lbmaster keys client", denied=True
        )
    return Unreachable(
        remote, "no answer", "does it run, is `clients = true` set there, is the port open, is the key for this master?"
    )


def request(remote: Remote, asked: bytes, patience: float | None) -> Generator[Json, None, Json]:
    """Ask, yield the notes, and return the result; as `conversation.request`."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket: zmq.Socket[bytes] = _socket(context, remote)
    number = secrets.token_bytes(8)
    try:
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | _FAILED | zmq.EVENT_DISCONNECTED)
        try:
            socket.connect(_endpoint(remote))
        except zmq.ZMQError as error:
            raise Unreachable(remote, str(error), "give the master's address") from None
        _shaken(remote, monitor)
        socket.send_multipart([number, asked])
        heard = time.monotonic()
        silent = SILENT_SECONDS if patience is None else min(patience, SILENT_SECONDS)
        try:
            while True:
                if monitor.poll(0):
                    raise BrokenOff(f"the master at {remote} ended the connection; was it stopped, or the key revoked?")
                if not socket.poll(250):
                    if time.monotonic() - heard > silent:
                        raise BrokenOff(f"the master at {remote} has been silent for {silent:.0f} s")
                    continue
                heard = time.monotonic()
                for line in socket.recv_multipart()[-1].splitlines():
                    note, result = decode_answer(line)
                    if result is not None:
                        return result
                    yield note
        finally:
            socket.send_multipart([number, b""], zmq.NOBLOCK)
    except zmq.Again:
        raise BrokenOff(f"the master at {remote} takes nothing any more") from None
    finally:
        socket.disable_monitor()
        context.destroy(LINGER_MS)


def _shaken(remote: Remote, monitor: zmq.Socket[bytes]) -> None:
    """Wait for the handshake; raises `Unreachable`."""
    if not monitor.poll(round(CONNECT_SECONDS * 1000)):
        raise _unreachable(remote, refused=False)
    event = recv_monitor_message(monitor)["event"]
    if event != zmq.EVENT_HANDSHAKE_SUCCEEDED:
        raise _unreachable(remote, refused=bool(event & zmq.EVENT_HANDSHAKE_FAILED_AUTH))


class Answers:
    """One `events` request over the network, for asyncio."""

    def __init__(self, remote: Remote, asked: bytes) -> None:
        self._remote, self._asked = remote, asked
        self._lines: deque[bytes] = deque()
        self.result: Json = {}

    async def __aenter__(self) -> Self:
        """Connect and ask; raises `Unreachable`."""
        self._context = zmq.asyncio.Context()
        self._socket: zmq.asyncio.Socket = _socket(self._context, self._remote)
        self._number = secrets.token_bytes(8)
        try:
            await self._ask()
        except zmq.ZMQError as error:
            self._close()
            raise Unreachable(self._remote, str(error), "give the master's address") from None
        except BaseException:
            self._close()
            raise
        return self

    async def _ask(self) -> None:
        events = zmq.EVENT_HANDSHAKE_SUCCEEDED | _FAILED | zmq.EVENT_DISCONNECTED
        self._monitor = self._socket.get_monitor_socket(events)
        self._socket.connect(_endpoint(self._remote))
        if not await self._monitor.poll(round(CONNECT_SECONDS * 1000)):
            raise _unreachable(self._remote, refused=False)
        event = (await recv_monitor_message(self._monitor))["event"]
        if event != zmq.EVENT_HANDSHAKE_SUCCEEDED:
            raise _unreachable(self._remote, refused=bool(event & zmq.EVENT_HANDSHAKE_FAILED_AUTH))
        await self._socket.send_multipart([self._number, self._asked])

    def _close(self) -> None:
        self._socket.disable_monitor()
        self._context.destroy(LINGER_MS)

    async def __aexit__(self, *_: object) -> None:
        """Say that no more is wanted, and hang up."""
        try:
            self._socket.send_multipart([self._number, b""], zmq.NOBLOCK)
        finally:
            self._close()

    async def note(self) -> Json | None:
        """Wait for the next note; None after the last one. Raises `BrokenOff`, `RequestRefused`, `NotUnderstood`."""
        heard = time.monotonic()
        while not self._lines:
            if await self._socket.poll(500):
                heard = time.monotonic()
                self._lines.extend((await self._socket.recv_multipart())[-1].splitlines())
            elif await self._monitor.poll(0):
                raise BrokenOff(f"the master at {self._remote} ended the connection")
            elif time.monotonic() - heard > SILENT_SECONDS:
                raise BrokenOff(f"the master at {self._remote} has been silent for {SILENT_SECONDS:.0f} s")
        note, result = decode_answer(self._lines.popleft())
        if result is None:
            return note
        self.result = result
        return None
