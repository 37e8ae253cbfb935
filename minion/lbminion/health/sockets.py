"""Sockets of probes: made cheaply, marked, closed without a trace. Waits in the event loop, never blocks.

A connection ends with a reset: neither this host, nor IPVS, nor the real server keeps a TIME_WAIT of it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from struct import pack
from typing import Final

from .outcome import CannotProbe, ProbeFailed, Target

_BIND_ADDRESS_NO_PORT: Final = 24  # <linux/in.h>: the port is chosen when it is known to whom
MOST_READ: Final = 1024 * 1024
"""Bytes of a connection: a real server that was broken into shall not keep this host busy with what means nothing."""
_RESET: Final = pack("ii", 1, 0)
OWN_FAULT: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)
"""This host has run out of something."""
_SAID: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.EPERM: "this host does not let the probe out (a firewall, or a missing capability)",
}


@contextmanager
def opened(target: Target, kind: socket.SocketKind) -> Iterator[socket.socket]:
    """Make a socket that can ask the target. Whatever the kernel says meanwhile becomes `ProbeFailed`, `CannotProbe`."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in target.address else socket.AF_INET, kind) as made:
            _prepare(made, target, kind)
            yield made
    except OSError as error:
        number = error.errno or 0
        if number in OWN_FAULT:
            raise CannotProbe(f"{target}: {os.strerror(number)}") from error
        raise ProbeFailed(_SAID.get(number) or str(error.strerror or error).lower()) from error


def _prepare(made: socket.socket, target: Target, kind: socket.SocketKind) -> None:
    made.setblocking(False)
    if target.mark:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, target.mark)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if target.source:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        made.bind((target.source, 0))


async def connected(sock: socket.socket, target: Target) -> None:
    """Connect. Raises `OSError`."""
    number = sock.connect_ex((target.address, target.port))
    if number == errno.EINPROGRESS:
        await _writable(sock)
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()
    # By its number: to look up a socket that it does not know yet, the loop would write out what the socket is, at a
    # quarter of the cost of a probe.
    number = sock.fileno()
    loop.add_writer(number, _wake, waiting)
    try:
        await waiting
    finally:
        loop.remove_writer(number)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class Stream:
    """A connected TCP socket, to read from and to write to. Raises `OSError`, and `ProbeFailed` for an endless answer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._loop = sock, asyncio.get_running_loop()
        self._left = MOST_READ

    async def send(self, data: bytes) -> None:
        """Write all of it."""
        await self._loop.sock_sendall(self._sock, data)

    async def receive(self, most: int) -> bytes:
        """Read what there is, b"" at the end."""
        data = await self._loop.sock_recv(self._sock, most)
        self._left -= len(data)
        if self._left < 0:
            raise ProbeFailed(f"the answer does not end within {MOST_READ // 1024} KiB")
        return data
