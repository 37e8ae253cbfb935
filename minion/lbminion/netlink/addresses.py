"""The addresses of the host's interfaces: read, add, delete, by pyroute2.

Which address belongs where is decided elsewhere; that an address comes or goes is told by `watch`.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from pyroute2 import AsyncIPRoute
from pyroute2.netlink import NLM_F_DUMP_INTR
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_DADFAILED, IFA_F_NODAD, IFA_F_OPTIMISTIC, IFA_F_TENTATIVE

from lbminion.errors import BadKernelMessage, ChangeError, NoAnswer, NotPermitted, kernel_said
from lbstates.kinds.address import Address

logger = logging.getLogger(__name__)

_FAMILIES: Final = {int(socket.AF_INET), int(socket.AF_INET6)}
_READ_AGAIN: Final = 5
_TIMEOUT: Final = 5.0
_FINE_TO_ADD: Final = {errno.EEXIST}
_FINE_TO_DELETE: Final = {errno.EADDRNOTAVAIL, errno.ENODEV}  # an interface that goes takes its addresses with it


class UnusableAddress(Address, frozen=True, tag="address"):
    """An IPv6 address that the host has and does not answer for: another host has it, or it is not known yet.

    It is no address that serves, so it equals none; adding it anew without duplicate address detection makes it one.
    """

    def describe(self) -> str:
        return "held back by duplicate address detection"


class Addresses:
    """The addresses of the network namespace in which it is first used; may be shared by the tasks of one event loop.

    Opens its socket at the first call, and again after a failure. Every method may raise `NoAnswer` and
    `BadKernelMessage`.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._ipr: AsyncIPRoute | None = None

    async def close(self) -> None:
        """Close the socket; the addresses stay as they are. Doing so twice is fine."""
        async with self._lock:
            await self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def dump(self) -> dict[str, Address]:
        """Read all addresses, by identity ("lo 10.0.0.1/32"): one with another prefix length is another address.

        Those that the host does not answer for are `UnusableAddress`.
        """
        for _ in range(_READ_AGAIN):
            async with self._asking() as ipr:
                messages = [message async for message in await ipr.get_addr()]
            if not any(message["header"]["flags"] & NLM_F_DUMP_INTR for message in messages):
                return _addresses(messages, dict(socket.if_nameindex()))
        raise NoAnswer(f"the addresses changed during each of {_READ_AGAIN} attempts to read them")

    async def add(self, address: Address) -> None:
        """Add an address with its label; it is fine if it is there. Raises `ChangeError`.

        An IPv6 address is added without duplicate address detection: other hosts of the cluster hold the same VIP, and
        the second that it takes would be an outage. It has no label: IPv6 knows none.
        """
        request = _request(address)
        index = _index(address.interface)
        if index is None:
            reason = f"there is no interface {address.interface!r}"
            raise ChangeError("address", address.identity, reason, errno.ENODEV)
        if request["family"] == socket.AF_INET6:
            request["flags"] = IFA_F_NODAD
        else:
            request["label"] = address.label
        await self._change("add", address, {**request, "index": index}, _FINE_TO_ADD)

    async def delete(self, address: Address) -> None:
        """Delete an address, whatever its label; it is fine if it is not there. Raises `ChangeError`."""
        request = _request(address)
        index = _index(address.interface)
        if index is not None:
            await self._change("del", address, {**request, "index": index}, _FINE_TO_DELETE)

    async def _change(self, verb: str, address: Address, request: Mapping[str, object], fine: set[int]) -> None:
        try:
            async with self._asking() as ipr:
                await ipr.addr(verb, **request)
        except NetlinkError as error:
            if error.code in fine:
                return
            said = "" if error.args[1] == os.strerror(error.code) else error.args[1]
            reason = kernel_said(error.code, said)
            if error.code == errno.EPERM:
                reason = str(NotPermitted("changing an address"))
            raise ChangeError("address", address.identity, reason, error.code) from None

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncIPRoute]:
        """Yield the socket to one task, for one question, for a bounded time.

        What was not answered to its end would be mixed with the next answer, and pyroute2 never uses a socket again
        that had an error: such a socket is dropped. A refusal (`NetlinkError`) is a whole answer.
        """
        async with self._lock:
            if self._ipr is None:
                self._ipr = AsyncIPRoute(ext_ack=True)
            try:
                async with asyncio.timeout(_TIMEOUT):
                    yield self._ipr
            except NetlinkError:
                raise
            except TimeoutError:
                await self._drop()
                raise NoAnswer(f"the kernel did not answer a question about addresses within {_TIMEOUT:g} s") from None
            except OSError as error:
                await self._drop()
                raise NoAnswer(f"the netlink socket for addresses failed: {error}") from error
            except BaseException:
                await self._drop()
                raise

    async def _drop(self) -> None:
        ipr, self._ipr = self._ipr, None
        if ipr is not None:
            await shut(ipr)


async def shut(ipr: AsyncIPRoute) -> None:
    """Close a socket of pyroute2 whole: its transport lets go in the event loop's next turn, no sooner."""
    ipr.close()
    await asyncio.sleep(0)


def located(message: Any) -> tuple[int, str] | None:  # noqa: ANN401 - a message of pyroute2, which has no types
    """Read an address message: the interface's index, and the address with its prefix length.

    None: of another family than IPv4 and IPv6. Raises `BadKernelMessage`. On a point-to-point link IFA_ADDRESS is the
    peer, and IFA_LOCAL the host's own.
    """
    if message["family"] not in _FAMILIES:
        return None
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    if not text:
        raise BadKernelMessage(f"an address message without an address, on interface {message['index']}")
    return message["index"], f"{text}/{message['prefixlen']}"


def _addresses(messages: list[Any], names: Mapping[int, str]) -> dict[str, Address]:
    found: dict[str, Address] = {}
    for message in messages:
        entry = located(message)
        if entry is not None and entry[0] in names:
            address = (UnusableAddress if _held_back(message) else Address)(names[entry[0]], entry[1])
            found[address.identity] = address
    return found


def _held_back(message: Any) -> bool:  # noqa: ANN401 - a message of pyroute2, which has no types
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    return bool(flags & IFA_F_DADFAILED or (flags & IFA_F_TENTATIVE and not flags & IFA_F_OPTIMISTIC))


def _request(address: Address) -> dict[str, object]:
    """Write the part of a request that adding and deleting share. Raises `ChangeError` for what is no address."""
    try:
        parsed = ipaddress.ip_interface(address.address)
    except ValueError as error:
        raise ChangeError("address", address.identity, str(error)) from None
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET  # noqa: PLR2004 - its name is its number
    # Not str(parsed.ip): that keeps the zone of "fe80::1%eth0", which the interface says already.
    bare = socket.inet_ntop(family, parsed.ip.packed)
    return {"family": family, "address": bare, "prefixlen": parsed.network.prefixlen}


def _index(interface: str) -> int | None:
    try:
        return socket.if_nametoindex(interface)
    except (OSError, ValueError):  # a ValueError for a NUL in it
        return None


def interfaces(addresses: Iterable[Address]) -> dict[str, str]:
    """Tell which interface has which address: bare address -> name of the interface.

    Of an address on several interfaces (a VIP on `lo` too) the one outside the loopback counts.
    """
    found: dict[str, str] = {}
    for address in addresses:
        bare = address.address.partition("/")[0]
        if address.interface != "lo" or bare not in found:
            found[bare] = address.interface
    return found
