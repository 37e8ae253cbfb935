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
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from struct import pack
from typing import Final

from . import arp_frames, sysctl
from .errors import HostError
from .netlink.addresses import Addresses, interfaces

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""What was lost once is told again after this."""
_ETH_P_ARP: Final = 0x0806
_ALL_NODES: Final = "ff02::1"
_ADVERTISEMENT, _ROUTER, _OVERRIDE = 136, 0x80000000, 0x20000000
_TARGET_LINK_LAYER_ADDRESS: Final = 2
_HOP_LIMIT: Final = 255
"""Of neighbour discovery: whoever gets one with less drops it, since it came over a router (RFC 4861)."""


class Announcements:
    """`addresses` tells which interface of this host has which VIP; what it has not is not announced."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._wanted: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def begin(self, vips: Iterable[str]) -> None:
        """Announce VIPs ("10.0.0.100/24") now and again after `AGAIN_SECONDS`."""
        self._wanted |= {vip.partition("/")[0] for vip in vips}
        if self._wanted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="announcements")

    async def end(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._wanted:
            vips, self._wanted = self._wanted, frozenset()
            try:
                await self._announce(vips)
                await asyncio.sleep(AGAIN_SECONDS)
                await self._announce(vips)
            except (HostError, OSError) as error:
                logger.error("VIPs cannot be announced anew, clients may ask another director: %s", error)  # noqa: TRY400

    async def _announce(self, vips: Collection[str]) -> None:
        here = interfaces((await self._addresses.dump()).values())
        for interface, addresses in grouped(here, vips).items():
            logger.info("announcing %s on %s anew", ", ".join(addresses), interface)
            announce(interface, addresses)


def grouped(here: Mapping[str, str], vips: Collection[str]) -> dict[str, list[str]]:
    """Sort VIPs by the interface that has them; `here`: address -> interface. One on `lo` has no neighbours."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for vip in sorted(vips):
        if (interface := here.get(vip, "lo")) != "lo":
            found[interface].append(vip)
    return dict(found)


def announce(interface: str, addresses: Iterable[str]) -> None:
    """Tell all neighbours that this interface has these addresses, of either family. Needs CAP_NET_RAW.

    Raises `OSError`, `ChangeError`.
    """
    with closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)) as opened:
        opened.bind((interface, _ETH_P_ARP))
        mac: bytes = opened.getsockname()[4]
        for address in addresses:
            if ":" in address:
                _advertise(interface, mac, address)
            else:
                opened.send(arp_frames.announcement(mac, address))


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
