"""Tells at once that a network device came, went, was renamed, or was set up or down. Decides nothing.

A raw socket of its own: the kernel sends a message for every change, and a lost one (the socket was overrun) only means
that every device may have changed.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple, Self

from lbminion.errors import BadKernelMessage

from .message import attributes, split

logger = logging.getLogger(__name__)

_GROUP: Final = 0x1
_NEW_LINK, _DEL_LINK = 16, 17
_HEADER: Final = Struct("=BxHiII")  # family, type, index, flags, a mask of those that changed
_UP, _LOWER_UP = 0x1, 0x10000
_NAME, _MTU = 3, 4
_DATAGRAM: Final = 64 * 1024
_AT_ONCE: Final = 64
_OVERRUN: Final = "*"
"""What is told instead of a name when messages were lost: any device may have changed."""


class Seen(NamedTuple):
    """What matters of a device."""

    name: str
    up: bool
    carrier: bool
    mtu: bytes


class LinkWatch:
    """Calls back with the name of every device that changed ("*": any of them): `open` it in a running event loop.

    Watches the network namespace in which it was opened. What the kernel repeats is not told again; nor are the ports
    of bridges, which the kernel tells of in the same words.
    """

    def __init__(self, callback: Callable[[str], None]) -> None:
        self._callback = callback
        self._socket: socket.socket | None = None
        self._seen: dict[int, Seen] = {}

    def open(self) -> None:
        """Subscribe. Raises `OSError`."""
        flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, flags, socket.NETLINK_ROUTE)
        try:
            self._socket.bind((0, _GROUP))
            asyncio.get_running_loop().add_reader(self._socket, self._read)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop; doing so twice is fine."""
        watched, self._socket = self._socket, None
        if watched is not None:
            asyncio.get_running_loop().remove_reader(watched)
            watched.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        # What is left is read when everything else has had its turn: a flood must not hold up the service.
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                data = self._socket.recv(_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._seen.clear()
                self._callback(_OVERRUN)
                continue
            try:
                self._hear(data)
            except BadKernelMessage as error:
                logger.warning("a message about network devices is not understood: %s", error)
                self._callback(_OVERRUN)

    def _hear(self, data: bytes) -> None:
        for message in split(data):
            if message.type in (_NEW_LINK, _DEL_LINK):
                self._compare(message.payload, gone=message.type == _DEL_LINK)

    def _compare(self, payload: bytes, *, gone: bool) -> None:
        index, seen = device(payload)
        if seen is None:
            return
        before = self._seen.pop(index, None)
        if not gone:
            self._seen[index] = seen
        if gone or before != seen:
            for name in dict.fromkeys(it.name for it in (before, seen) if it is not None):
                self._callback(name)


def device(payload: bytes) -> tuple[int, Seen | None]:
    """Read a message: the index, and what matters of the device (None: it is about a port of a bridge).

    Raises `BadKernelMessage`.
    """
    if len(payload) < _HEADER.size:
        raise BadKernelMessage(f"{len(payload)} bytes where a device's header takes {_HEADER.size}")
    family, _, index, flags, _ = _HEADER.unpack_from(payload)
    if family != socket.AF_UNSPEC:
        return index, None
    found = attributes(payload, _HEADER.size)
    name = found.get(_NAME, b"").rstrip(b"\0").decode(errors="replace")
    return index, Seen(name, bool(flags & _UP), bool(flags & _LOWER_UP), bytes(found.get(_MTU, b"")))
