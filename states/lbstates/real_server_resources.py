"""What a real server shall have, so that it takes the packets that directors send it.

Behind masquerading that is nothing: the packets come readdressed to its own address, and go back by its default route.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .desired import Answer, Host, RealServerState
from .facts import HostFacts, interface_of
from .kinds.address import Address
from .kinds.clamp import Clamp
from .kinds.destination import Tunnel
from .kinds.gue_port import GuePort
from .kinds.kind import Resource
from .kinds.link import Link, TunnelDevice
from .kinds.module import Module
from .kinds.service import CLIENT_PREFIX, Family, family_of
from .kinds.sysctl import Sysctl

# The larger of `all` and the interface's own value counts, and `all` alone would do; both are written because tools
# that reset one interface (ifupdown, networkd) are common. IPv6 answers for the addresses of the interface asked only.
_ARP_SYSCTLS: Final = (("arp_ignore", "1"), ("arp_announce", "2"))


class _Way(NamedTuple):
    """How packets of a tunnel come in: the module, and the device that comes with it."""

    module: str
    interface: str
    device: TunnelDevice


_IPIP: Final = _Way("ipip", "tunl0", "ipip")
_SIT: Final = _Way("sit", "sit0", "sit")
_IP6TNL: Final = _Way("ip6_tunnel", "ip6tnl0", "ip6tnl")
_GRE: Final = _Way("ip_gre", "gre0", "gre")
_IP6GRE: Final = _Way("ip6_gre", "ip6gre0", "ip6gre")

_HEADER: Final[dict[Family, int]] = {"ipv4": 20, "ipv6": 40}
_TCP_HEADER: Final = 20
_MTU: Final = 1500
"""Of an interface of which nothing is known."""


def resources(state: RealServerState, host: str, facts: HostFacts) -> tuple[Resource, ...]:
    """Derive them for `host`, one of the state's. Raises `CannotDerive`."""
    answers = [answer for answer in state.answers if host in answer.hosts and answer.forwarding != "masquerade"]
    vips = list(dict.fromkeys(answer.vip for answer in answers))
    if not vips:
        return ()
    here = state.hosts[host]
    interface = interface_of(host, here, facts)
    tunnelled = [(answer, answer.tunnel) for answer in answers if answer.tunnel is not None]
    return (
        *(_arp(interface) if any(family_of(vip) == "ipv4" for vip in vips) else ()),
        *dict.fromkeys(needed for answer, tunnel in tunnelled for needed in _ways_in(answer.vip, tunnel, here)),
        *(Address("lo", f"{vip}/{CLIENT_PREFIX[family_of(vip)]}") for vip in vips),
        *dict.fromkeys(given for answer, tunnel in tunnelled for given in _on_device(answer.vip, tunnel, here)),
        # Without nftables segments stay as they are: the path may be wide enough, and the doctor tells if it is not.
        *(() if facts.no_packet_rules else _clamps(tunnelled, here, facts.mtus.get(interface, _MTU))),
    )


def _arp(interface: str) -> Iterator[Resource]:
    for name in ("all", interface):
        yield from (Sysctl(f"net/ipv4/conf/{name}/{key}", value) for key, value in _ARP_SYSCTLS)


def _ways_in(vip: str, tunnel: Tunnel, host: Host) -> Iterator[Resource]:
    outer = _outer(vip, host)
    way = _way(tunnel, family_of(vip), outer)
    yield Module(way.module)
    if family_of(vip) == "ipv4":
        # Unwrapped packets come from clients that the routes do not expect behind this device. 2 (loose) counts whatever
        # `all` has, since the larger of the two does; it needs an address on the device, see `_on_device`.
        yield Sysctl(f"net/ipv4/conf/{way.interface}/rp_filter", "2")
    yield Link(way.interface, way.device)
    if tunnel.type == "gue":
        # For both families: fou6 is for senders only.
        yield Module("fou")
        yield GuePort(tunnel.port, outer)


def _on_device(vip: str, tunnel: Tunnel, host: Host) -> Iterator[Address]:
    """The VIP on the tunnel's device, too: on one without any address the kernel takes loose for strict.

    (Measured with 6.1: IPReversePathFilter counts every packet of a tunl0 that has rp_filter 2 and no address.)
    """
    if family_of(vip) == "ipv4":
        yield Address(_way(tunnel, "ipv4", _outer(vip, host)).interface, f"{vip}/{CLIENT_PREFIX['ipv4']}")


def _outer(vip: str, host: Host) -> Family:
    """The family of the address by which directors reach the host: the VIP's own if it has one of that."""
    return family_of(host.address_of(family_of(vip)) or host.address)


def _way(tunnel: Tunnel, inner: Family, outer: Family) -> _Way:
    if tunnel.type == "gre":
        return _GRE if outer == "ipv4" else _IP6GRE
    # What GUE brings is a packet in a packet as ipip has it, and goes the same way from there.
    if outer == "ipv6":
        return _IP6TNL
    return _IPIP if inner == "ipv4" else _SIT


def _clamps(tunnelled: Iterable[tuple[Answer, Tunnel]], host: Host, mtu: int) -> Iterator[Clamp]:
    """Limit the segments that clients of a VIP send, as its narrowest tunnel demands."""
    largest: dict[str, int] = {}
    for answer, tunnel in tunnelled:
        if answer.protocol == "tcp":
            headers = (
                _HEADER[_outer(answer.vip, host)] + _overhead(tunnel) + _HEADER[family_of(answer.vip)] + _TCP_HEADER
            )
            largest[answer.vip] = min(mtu - headers, largest.get(answer.vip, mtu))
    yield from (Clamp(vip, mss) for vip, mss in largest.items())


def _overhead(tunnel: Tunnel) -> int:
    """What stands between the outer and the inner IP header, in bytes (kernel: net/netfilter/ipvs/ip_vs_xmit.c)."""
    match tunnel.type:
        case "ipip":
            return 0
        case "gre":
            return 4
        case "gue":  # UDP, GUE, and what tells where a remote checksum goes
            return 8 + 4 + (8 if tunnel.checksum == "remote" else 0)
