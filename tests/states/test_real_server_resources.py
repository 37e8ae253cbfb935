"""real_server_resources: what a real server shall have, by the way in which packets reach it."""

from __future__ import annotations

from typing import TypeVar

import pytest

from lbstates.desired import Answer, Host, RealServerState
from lbstates.facts import HostFacts
from lbstates.kinds.address import Address
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.destination import Forwarding, Tunnel
from lbstates.kinds.gue_port import GuePort
from lbstates.kinds.kind import Resource
from lbstates.kinds.link import Link
from lbstates.kinds.module import Module
from lbstates.kinds.service import Protocol
from lbstates.kinds.sysctl import Sysctl
from lbstates.resources import resources_for

T = TypeVar("T", bound=Resource)
VIP, VIP6 = "10.1.0.200", "fd01::200"
HOSTS = {"v4": Host("10.0.0.10"), "v6": Host("fd00::10"), "both": Host("10.0.0.10", "fd00::10")}


def _answer(vip: str, forwarding: Forwarding, tunnel: Tunnel | None = None, protocol: Protocol = "tcp") -> Answer:
    return Answer(vip, protocol, ("80",), forwarding, dict.fromkeys(HOSTS, 0), tunnel)


def _resources(*answers: Answer, host: str = "both", mtu: int = 1500) -> tuple[Resource, ...]:
    interfaces = dict.fromkeys(HOSTS[host].addresses, "eth1")
    return resources_for(
        RealServerState("c", HOSTS, answers), host, HostFacts(interfaces, None, "", mtus={"eth1": mtu})
    )


def _of(kind: type[T], resources: tuple[Resource, ...]) -> list[T]:
    return [resource for resource in resources if isinstance(resource, kind)]


@pytest.mark.pitfall("R2")
@pytest.mark.parametrize("tunnel", [None, Tunnel()], ids=["direct", "tunnel"])
def test_r2_a_real_server_keeps_silent_about_its_ipv4_vips(tunnel: Tunnel | None) -> None:
    """Also behind a tunnel: it may share a network with its clients."""
    sysctls = _of(Sysctl, _resources(_answer(VIP, "tunnel" if tunnel else "direct", tunnel)))
    for interface in ("all", "eth1"):
        assert Sysctl(f"net/ipv4/conf/{interface}/arp_ignore", "1") in sysctls
        assert Sysctl(f"net/ipv4/conf/{interface}/arp_announce", "2") in sysctls


def test_an_ipv6_vip_needs_no_such_settings() -> None:
    """Neighbours are told of the addresses of the interface that they ask only."""
    assert _resources(_answer(VIP6, "direct")) == (Address("lo", f"{VIP6}/128"),)


@pytest.mark.pitfall("R3")
def test_r3_settings_before_addresses_before_the_limit_of_segments() -> None:
    """The order in which resources appear; on the way out a plan goes backwards."""
    kinds = [type(it) for it in _resources(_answer(VIP, "tunnel", Tunnel("gue", 6080)))]
    assert list(dict.fromkeys(kinds)) == [Module, Sysctl, Link, GuePort, Address, Clamp]


@pytest.mark.pitfall("R6")
@pytest.mark.pitfall("I7")
def test_masquerading_asks_nothing_of_a_real_server() -> None:
    """The packets come readdressed; its default route is not ours to set (but examined)."""
    assert _resources(_answer(VIP, "masquerade")) == ()


WAYS = {
    # VIP, tunnel, host: module, device, others
    "v4 in v4": (VIP, Tunnel(), "both", {"ipip"}, Link("tunl0", "ipip"), None),
    "v6 in v6": (VIP6, Tunnel(), "both", {"ip6_tunnel"}, Link("ip6tnl0", "ip6tnl"), None),
    "v6 in v4": (VIP6, Tunnel(), "v4", {"sit"}, Link("sit0", "sit"), None),
    "v4 in v6": (VIP, Tunnel(), "v6", {"ip6_tunnel"}, Link("ip6tnl0", "ip6tnl"), None),
    "gre over v4": (VIP6, Tunnel("gre"), "v4", {"ip_gre"}, Link("gre0", "gre"), None),
    "gre over v6": (VIP, Tunnel("gre"), "v6", {"ip6_gre"}, Link("ip6gre0", "ip6gre"), None),
    "v4 in gue over v4": (
        VIP, Tunnel("gue", 6080), "v4", {"fou", "ipip"}, Link("tunl0", "ipip"), GuePort(6080, "ipv4"),
    ),
    "v6 in gue over v4": (
        VIP6, Tunnel("gue", 6080), "v4", {"fou", "sit"}, Link("sit0", "sit"), GuePort(6080, "ipv4"),
    ),
    "v6 in gue over v6": (
        VIP6, Tunnel("gue", 6080), "both", {"fou", "ip6_tunnel"}, Link("ip6tnl0", "ip6tnl"), GuePort(6080, "ipv6"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_tunnel_comes_in_by_its_own_device(way: str) -> None:
    """By the family of the VIP, and that of the address by which directors reach the host: the VIP's if it has one."""
    vip, tunnel, host, modules, link, port = WAYS[way]
    resources = _resources(_answer(vip, "tunnel", tunnel), host=host)
    assert {it.name for it in _of(Module, resources)} == modules
    assert _of(Link, resources) == [link]
    assert _of(GuePort, resources) == ([] if port is None else [port])


@pytest.mark.pitfall("R4")
@pytest.mark.parametrize("way", WAYS)
def test_r4_what_a_tunnel_brings_is_not_dropped_for_its_source(way: str) -> None:
    """Loose on the device itself, which outdoes a strict `all`, and an address there, without which loose is strict.

    IPv6 has no such filter.
    """
    vip, tunnel, host, _, link, _ = WAYS[way]
    resources = _resources(_answer(vip, "tunnel", tunnel), host=host)
    found = [it for it in _of(Sysctl, resources) if "rp_filter" in it.key]
    on_device = [it for it in _of(Address, resources) if it.interface == link.interface]
    assert on_device == ([] if vip == VIP6 else [Address(link.interface, f"{VIP}/32")])
    assert found == ([] if vip == VIP6 else [Sysctl(f"net/ipv4/conf/{link.interface}/rp_filter", "2")])


MSS = {
    "ipip, v4 in v4": (VIP, Tunnel(), "v4", 1500 - 20 - 40),
    "ipip, v6 in v4": (VIP6, Tunnel(), "v4", 1500 - 20 - 60),
    "ipip, v4 in v6": (VIP, Tunnel(), "v6", 1500 - 40 - 40),
    "gre": (VIP, Tunnel("gre"), "v4", 1500 - 24 - 40),
    "gue": (VIP, Tunnel("gue", 6080), "v4", 1500 - 32 - 40),
    "gue with remote checksum": (VIP, Tunnel("gue", 6080, "remote"), "v4", 1500 - 40 - 40),
}


@pytest.mark.pitfall("R5")
@pytest.mark.parametrize("case", MSS)
def test_r5_segments_leave_room_for_the_tunnel(case: str) -> None:
    """MTU less outer headers, less those of IP and TCP."""
    vip, tunnel, host, mss = MSS[case]
    assert _of(Clamp, _resources(_answer(vip, "tunnel", tunnel), host=host)) == [Clamp(vip, mss)]


def test_a_vip_behind_several_tunnels_fits_into_the_narrowest() -> None:
    """And into the MTU that the host has."""
    answers = (_answer(VIP, "tunnel", Tunnel()), _answer(VIP, "tunnel", Tunnel("gre")))
    assert _of(Clamp, _resources(*answers, mtu=9000)) == [Clamp(VIP, 9000 - 24 - 40)]


def test_only_tcp_has_segments() -> None:
    assert _of(Clamp, _resources(_answer(VIP, "tunnel", Tunnel(), "udp"))) == []


def test_an_interface_whose_mtu_nobody_knows_has_that_of_ethernet() -> None:
    interfaces = {"10.0.0.10": "eth1"}
    state = RealServerState("c", HOSTS, (_answer(VIP, "tunnel", Tunnel()),))
    assert _of(Clamp, resources_for(state, "v4", HostFacts(interfaces, None, ""))) == [Clamp(VIP, 1440)]


def test_without_nftables_segments_stay_as_they_are() -> None:
    """The path may be wide enough all the same; the doctor tells if it is not."""
    facts = HostFacts({"10.0.0.10": "eth1"}, None, "", no_packet_rules="no nft here")
    state = RealServerState("c", HOSTS, (_answer(VIP, "tunnel", Tunnel()),))
    found = resources_for(state, "v4", facts)
    assert _of(Clamp, found) == []
    assert Address("lo", f"{VIP}/32") in found
