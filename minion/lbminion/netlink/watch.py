"""Tells within a millisecond or two that an address appeared on the host or vanished from it.

Says what happened, and decides nothing: whether the address is one of ours is the reconciler's business.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Any, Final, Literal, Self

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK

from .addresses import Addresses, located, shut

logger = logging.getLogger(__name__)

What = Literal["appeared", "vanished"]
Callback = Callable[[str, What], None]

_GROUPS: Final = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
_WHAT: Final[dict[str, What]] = {"RTM_NEWADDR": "appeared", "RTM_DELADDR": "vanished"}


class AddressWatch:
    """Calls back with (identity, what) for every address that appears or vanishes: `open`, then `run` as a task.

    Each change since `open` is told once, in the order of the kernel: what the kernel repeats (a refreshed lifetime)
    is not told again. When the kernel's messages overran the socket, the addresses are read anew and the differences
    are told. Watches the network namespace in which it was opened.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        # Not the socket of the events: pyroute2 sorts what it receives by sequence number, and an event has that of the
        # stranger's request which caused it, which may be the number of a question of ours.
        self._addresses = Addresses()
        self._events: AsyncIPRoute | None = None
        self._names: dict[int, str] = {}
        self._known: set[str] = set()

    async def open(self) -> None:
        """Subscribe, and learn what is there. Raises `HostError` and `OSError`."""
        try:
            await self._subscribe()
            # Only now: what happens in between is told by a message, and is known already.
            self._names = dict(socket.if_nameindex())
            self._known = set(await self._addresses.dump())
        except BaseException:
            await self.close()
            raise

    async def run(self) -> None:
        """Tell the changes until cancelled. Raises `HostError` and `OSError`, and what the callback raises."""
        while True:
            try:
                await self._follow()
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                logger.warning("the kernel's address events overran the socket: reading the addresses anew")
            await self._subscribe()  # pyroute2 never reads a socket again that had an error
            await self._read_anew()

    async def close(self) -> None:
        """End the watch (after its task); doing so twice is fine."""
        await self._unsubscribe()
        await self._addresses.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _subscribe(self) -> None:
        await self._unsubscribe()
        self._events = AsyncIPRoute()
        await self._events.bind(groups=_GROUPS)

    async def _unsubscribe(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            await shut(events)

    async def _follow(self) -> None:
        """Handle events until the socket fails."""
        while self._events is not None:
            async with aclosing(self._events.get()) as messages:  # ends after each datagram
                async for message in messages:
                    await self._handle(message)

    async def _handle(self, message: Any) -> None:  # noqa: ANN401 - a message of pyroute2, which has no types
        event = message["event"]
        if event == "RTM_NEWLINK":
            index, name = message["index"], message.get_attr("IFLA_IFNAME")
            if name is not None and self._names.setdefault(index, name) != name:
                await self._read_anew()
        elif event in _WHAT:  # of an interface that goes the kernel tells that its addresses vanish
            entry = located(message)
            if entry is None:
                return
            if entry[0] not in self._names:
                await self._read_anew()
            else:
                self._tell([f"{self._names[entry[0]]} {entry[1]}"], _WHAT[event])

    async def _read_anew(self) -> None:
        present = set(await self._addresses.dump())
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
