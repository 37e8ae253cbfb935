"""Tells within a millisecond that an address appeared on the host or vanished from it.

Says what happened, and decides nothing: whether the address is one of ours is the reconciler's business.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Final, Literal, Self

from lbminion.errors import HostError

from . import address_codec as codec
from . import message
from .addresses import Addresses

logger = logging.getLogger(__name__)

What = Literal["appeared", "vanished"]
Callback = Callable[[str, What], None]

_DATAGRAM: Final = 64 * 1024
_PER_TURN: Final = 64  # datagrams read before the event loop gets its turn again


class AddressWatch:
    """Calls back with (identity, what) for every address that appears or vanishes, from its opening on.

    Each change is told once, in the order of the kernel: what the kernel repeats (a refreshed lifetime) is not told again. When the
    kernel's messages overran the socket, the addresses are read anew and the differences are told. Lives in a running
    event loop and in the network namespace in which it was opened.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._addresses = Addresses()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        try:
            # Subscribed before reading: what happens in between is told by a message, and is known already.
            self._socket.bind((0, codec.GROUPS))
            self._names: dict[int, str] = dict(socket.if_nameindex())
            self._known = set(self._addresses.dump())
            self._loop.add_reader(self._socket, self._readable)
        except BaseException:
            self._socket.close()
            self._addresses.close()
            raise

    def close(self) -> None:
        """End the watch; doing so twice is fine."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._addresses.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _readable(self) -> None:
        try:
            for _ in range(_PER_TURN):
                if self._socket.fileno() < 0:
                    return  # a callback closed the watch
                for event in message.split(self._socket.recv(_DATAGRAM)):
                    self._handle(event)
        except BlockingIOError:
            return
        except (OSError, HostError) as error:
            if isinstance(error, OSError) and error.errno != errno.ENOBUFS:
                raise
            logger.warning("reading the addresses anew: %s", error)
            self._read_anew()

    def _handle(self, event: message.Message) -> None:
        if event.type in {codec.NEW_LINK, codec.DEL_LINK}:
            interface = codec.decode_interface(event.payload)
            if interface is None or event.type == codec.DEL_LINK:
                return  # the kernel tells that its addresses vanished, by messages of their own
            renamed = self._names.get(interface.number, interface.name) != interface.name
            self._names[interface.number] = interface.name
            if renamed:
                self._read_anew()
        elif event.type in {codec.NEW_ADDRESS, codec.DEL_ADDRESS}:
            decoded = codec.decode_address(event.payload)
            if decoded is None:
                return
            name = self._names.get(decoded.interface)
            if name is None:
                self._read_anew()
                return
            self._tell([f"{name} {decoded.address}"], "appeared" if event.type == codec.NEW_ADDRESS else "vanished")

    def _read_anew(self) -> None:
        present = set(self._addresses.dump())
        self._names = dict(socket.if_nameindex())
        self._tell(sorted(self._known - present), "vanished")
        self._tell(sorted(present - self._known), "appeared")

    def _tell(self, identities: Iterable[str], what: What) -> None:
        for identity in identities:
            if (identity in self._known) == (what == "appeared"):
                continue
            if what == "appeared":
                self._known.add(identity)
            else:
                self._known.discard(identity)
            self._callback(identity, what)
