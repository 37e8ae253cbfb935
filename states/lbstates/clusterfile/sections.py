"""The smaller parts of a cluster file: hosts, VIPs, VRRP, and the options of IPVS."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lbstates.words import MAX_ANNOUNCEMENTS, MAX_GARP_DELAY, MAX_VRID

from .fields import (
    AuthPass,
    HostAddress,
    HostAddress6,
    Interface,
    Mode,
    MulticastGroup,
    Name,
    Network,
    Numbers,
    Port,
    SysctlName,
    SysctlValue,
    Vip,
)
from .short import Section, ShortSection

AdvertInterval = Annotated[float, Field(ge=0.01, le=40.95)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seconds = Annotated[int, Field(ge=0, le=2678400)]
GarpDelay = Annotated[int, Field(ge=0, le=MAX_GARP_DELAY)]
Interfaces = Annotated[tuple[Interface, ...], Field(strict=False)]
VirtualRouterId = Annotated[int, Field(ge=1, le=MAX_VRID)]


class DirectorEntry(ShortSection):
    """A host that balances. Its address may stand alone."""

    SHORT = "address"

    address: HostAddress = Field(description="Its address, IPv4 or IPv6.")
    address6: HostAddress6 | None = Field(
        default=None, description="Its IPv6 address beside an IPv4 one; VRRP of IPv6 VIPs by unicast needs it."
    )
    capacity: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Its share of the VIPs as their home, relative to that of the other directors."
    )
    interface: Interface | None = Field(
        default=None, description="Its interface for VRRP and the VIPs, where it differs from that of the others."
    )


class RealServerEntry(ShortSection):
    """A host that answers connections. Its address may stand alone."""

    SHORT = "address"

    address: HostAddress = Field(description="Its address, IPv4 or IPv6.")
    address6: HostAddress6 | None = Field(
        default=None, description="Its IPv6 address beside an IPv4 one, for services with an IPv6 VIP."
    )


class VipEntry(ShortSection):
    """A virtual address. It may stand alone."""

    SHORT = "address"

    address: Vip = Field(description="The address with the prefix length of its network, IPv4 or IPv6.")
    instance: Name | None = Field(
        default=None,
        description="The VRRP instance that it belongs to; VIPs of one instance have the same master. Left out: an "
        "instance of its own, of its own name.",
    )
    interface: Interface | None = Field(
        default=None, description="The interface that it is put on. Left out: the one that its VRRP instance runs on."
    )


class RouteEntry(Section):
    """A route that the master of an instance has."""

    to: Network = Field(description="The network that it leads to, or default.")
    via: HostAddress | None = Field(default=None, description="The gateway.")
    interface: Interface | None = Field(default=None, description="The interface that it leaves by.")
    table: Count | None = Field(default=None, description="The routing table that it is in.")
    source: HostAddress | None = Field(
        default=None, description="The address that packets of the host itself have which take it: a VIP, most often."
    )
    metric: Count | None = Field(
        default=None, description="Of several routes to the same network that with the smallest number counts."
    )


class RuleEntry(Section):
    """A routing rule that the master of an instance has."""

    table: Count = Field(description="The routing table that it chooses.")
    source: Network | None = Field(default=None, description="The packets' source.")
    to: Network | None = Field(default=None, description="The packets' destination.")
    priority: Count | None = Field(default=None, description="Its place among the rules; small numbers come first.")


class InstanceEntry(Section):
    """One VRRP instance: what differs from `vrrp`, and what only one can have."""

    home: Name | None = Field(
        default=None, description="The director that is master while it lives. Left out: computed, evenly."
    )
    virtual_router_id: VirtualRouterId | None = Field(
        default=None,
        description="Its number on the network. Left out: the last octet of its first VIP, or the next free.",
    )
    sync_group: Name | None = Field(
        default=None, description="Instances of one sync group have the same master, always."
    )
    interface: Interface | None = Field(default=None, description="The directors' interface for this instance.")
    advert_interval: AdvertInterval | None = Field(default=None, description="As in `vrrp`.")
    version: Literal[2, 3] | None = Field(default=None, description="As in `vrrp`.")
    auth_pass: AuthPass | None = Field(default=None, description="As in `vrrp`.")
    preempt: bool | None = Field(default=None, description="As in `vrrp`.")
    preempt_delay: Annotated[int, Field(ge=0, le=1000)] | None = Field(default=None, description="As in `vrrp`.")
    track_interfaces: Interfaces | None = Field(default=None, description="As in `vrrp`.")
    routes: Annotated[tuple[RouteEntry, ...], Field(strict=False)] = Field(
        default=(), description="Routes that its master has, and nobody else."
    )
    rules: Annotated[tuple[RuleEntry, ...], Field(strict=False)] = Field(
        default=(), description="Routing rules that its master has, and nobody else."
    )


class Garp(Section):
    """How a new master announces its VIPs, by gratuitous ARP and unsolicited neighbour advertisements."""

    repeat: Annotated[int, Field(ge=1, le=MAX_ANNOUNCEMENTS)] = Field(
        default=5, description="How many announcements a new master sends at once."
    )
    delay: GarpDelay = Field(default=5, description="Seconds until it sends them again.")
    refresh: Seconds = Field(default=60, description="Seconds between announcements of a master that stays (0: none).")
    refresh_repeat: Annotated[int, Field(ge=1, le=MAX_ANNOUNCEMENTS)] = Field(
        default=1, description="How many at each of these times."
    )
    lower_priority_repeat: Annotated[int, Field(ge=0, le=MAX_ANNOUNCEMENTS)] = Field(
        default=2, description="How many after a director with lower priority claimed to be master."
    )
    lower_priority_delay: GarpDelay = Field(default=1, description="Seconds until they are sent again.")


class Vrrp(Section):
    """How the directors elect the holder of a VIP. Everything here may be left out."""

    advert_interval: AdvertInterval = Field(
        default=1,
        description="Seconds between two advertisements of a master. A dead director is noticed after three of them. "
        "Whole seconds with version 2.",
    )
    mode: Mode = Field(
        default="multicast",
        description="How directors reach each other: multicast, or unicast to the addresses of the other directors.",
    )
    version: Literal[2, 3] | None = Field(
        default=None, description="The version of VRRP. Left out: 3, or 2 if auth_pass is given. IPv6 needs 3."
    )
    auth_pass: AuthPass | None = Field(
        default=None,
        description="Password in clear text in every advertisement, 8 characters at most. It is no security, and it "
        "forces VRRP version 2; leave it out unless something on the network demands it.",
    )
    interface: Interface | None = Field(
        default=None,
        description="The directors' interface for VRRP and the VIPs. Left out: the one with the director's address.",
    )
    preempt: bool = Field(
        default=True,
        description="Whether a director that comes back takes its VIPs back from the one that stood in. With false, a "
        "director keeps its VIPs also while its minion is dead.",
    )
    preempt_delay: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0, description="Seconds that it waits before it does so."
    )
    track_interfaces: Interfaces = Field(
        default=(), description="Interfaces without which a director gives its VIPs up, beside its own."
    )
    reserved_virtual_router_ids: Numbers = Field(
        default=(), description="Numbers, or ranges of them, that others use on the network and that are not given out."
    )
    garp: Garp = Field(default=Garp(), description="How a new master announces its VIPs.")


class Timeouts(Section):
    """How long IPVS keeps the entry of a silent connection, in seconds; what is left out stays as the kernel has it."""

    tcp: Annotated[int, Field(ge=1, le=2678400)] | None = Field(
        default=None, description="Of an established connection."
    )
    tcpfin: Annotated[int, Field(ge=1, le=2678400)] | None = Field(default=None, description="After its FIN.")
    udp: Annotated[int, Field(ge=1, le=2678400)] | None = Field(
        default=None, description="Of UDP, after its last packet."
    )


class Sync(Section):
    """How directors carry their connections to each other, so that a failover does not cut them."""

    id: Annotated[int, Field(ge=1, le=255)] | None = Field(
        default=None, description="Tells clusters on one network apart. Left out: a number from the cluster's name."
    )
    interface: Interface | None = Field(
        default=None, description="The interface for it. Left out: the one with the director's address."
    )
    maximum_length: Annotated[int, Field(ge=1024, le=65487)] = Field(
        default=1472, description="The longest message, in bytes; it has to fit into the interface's MTU."
    )
    group: MulticastGroup = Field(default="224.0.0.81", description="The multicast group.")
    port: Port = Field(default=8848, description="The UDP port.")
    ttl: Annotated[int, Field(ge=1, le=255)] = Field(default=1, description="How many routers a message may pass.")


class Ipvs(Section):
    """What is one for the whole kernel of a director. Everything here may be left out."""

    timeouts: Timeouts = Field(default=Timeouts(), description="How long the entry of a silent connection is kept.")
    sync: Sync | None = Field(
        default=None,
        description="Carry connections to the other directors (`sync: {}` for the defaults). Left out: no.",
    )
    sysctls: dict[SysctlName, SysctlValue] = Field(
        default_factory=dict,
        description="Settings below net.ipv4.vs, by name; those that lbmaster sets itself included.",
    )
    backup_only: bool = Field(
        default=False,
        description="Allows a host to be director and real server at once: as long as another director has the VIPs, it "
        "does not balance what that one sends to it.",
    )
