"""Tells neighbours once more which VIPs this host has, when keepalived cannot know that they believe another director.

A director that yields has announced the VIPs, too. keepalived repeats its own announcement when it hears an advertisement
of lower priority; where the way from the other director heals last, it hears none, and clients go on asking the other one
until they find out: some seconds for a Linux that gets no answer, hours for some routers. So the master has it done.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from struct import pack
from typing import Final

from lbstates.kinds.address import Address

from . import arp_frames, sysctl
from .errors import HostError
from .netlink.addresses import Addresses

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""What was lost once is told again after this."""
_ETH_P_ARP: Final = 0x0806
_ETHERNET: Final = 1
_ALL_NODES: Final = "ff02::1"
_ADVERTISEMENT, _ROUTER, _OVERRIDE = 136, 0x80000000, 0x20000000
_TARGET_LINK_LAYER_ADDRESS: Final = 2
_HOP_LIMIT: Final = 255
"""Of neighbour discovery: whoever gets one with less drops it, since it came over a router (RFC 4861)."""


class Announcements:
    """`addresses` reads what this host has; `vips` lists those of the instances given that are MASTER here."""

    def __init__(self, addresses: Addresses, vips: Callable[[Collection[str]], Iterable[Address]]) -> None:
        self._addresses, self._vips = addresses, vips
        self._wanted: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def begin(self, instances: Iterable[str]) -> None:
        """Announce the VIPs of VRRP instances now, and again after `AGAIN_SECONDS`."""
        self._wanted |= frozenset(instances)
        if self._wanted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="announcements")

    async def end(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._wanted:
            instances, self._wanted = self._wanted, frozenset()
            await self._round(instances)
            await asyncio.sleep(AGAIN_SECONDS)
            await self._round(instances)

    async def _round(self, instances: Collection[str]) -> None:
        """Announce what is MASTER here at this moment, and where the kernel has it."""
        try:
            vips = list(self._vips(instances))
            if not vips:
                return
            here = await self._addresses.dump()
            for interface, addresses in grouped(vips, here).items():
                logger.info("announcing %s on %s anew", ", ".join(addresses), interface)
                # Apart: the kernel takes some milliseconds to let go of such a socket.
                for error in await asyncio.to_thread(announce, interface, addresses):
                    logger.error("%s: clients may ask another director", error)
        except Exception:
            # Whatever it is, it must not end the service that keeps this host in order.
            logger.exception("VIPs cannot be announced anew, clients may ask another director")


def grouped(vips: Iterable[Address], here: Mapping[str, Address]) -> dict[str, list[str]]:
    """Sort bare addresses by interface; `here` by identity. Those that the kernel does not answer for are left out."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for vip in vips:
        if here.get(vip.identity) == vip:
            found[vip.interface].append(vip.address.partition("/")[0])
    return dict(found)


def announce(interface: str, addresses: Iterable[str]) -> list[str]:
    """Tell all neighbours that this interface has these addresses, of either family; returns what went wrong.

    Needs CAP_NET_RAW. An interface that is no Ethernet has no such neighbours.
    """
    failed = []
    try:
        with closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)) as opened:
            opened.bind((interface, _ETH_P_ARP))
            *_, hardware, mac = opened.getsockname()
            if hardware != _ETHERNET:
                return []
            for address in addresses:
                try:
                    if ":" in address:
                        _advertise(interface, mac, address)
                    else:
                        opened.send(arp_frames.announcement(mac, address))
                except (HostError, OSError) as error:
                    failed.append(f"{address} cannot be announced on {interface}: {error}")
    except OSError as error:
        failed.append(f"nothing can be announced on {interface}: {error}")
    return failed


def _advertise(interface: str, mac: bytes, address: str) -> None:
    """Send an unsolicited neighbour advertisement; the kernel adds the checksum."""
    routes = sysctl.read(f"net/ipv6/conf/{interface}/forwarding") != "0"
    flags = _OVERRIDE | (_ROUTER if routes else 0)
    target = pack("!BBHI", _ADVERTISEMENT, 0, 0, flags) + socket.inet_pton(socket.AF_INET6, address)
    message = target + pack("!BB6s", _TARGET_LINK_LAYER_ADDRESS, 1, mac)
    index = socket.if_nametoindex(interface)
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    with closing(socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6)) as opened:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOP_LIMIT)
        opened.bind((address, 0, 0, index))
        opened.sendto(message, (_ALL_NODES, 0, 0, index))
