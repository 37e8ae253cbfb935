"""The virtual services of a cluster file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lbstates.words import MAX_PORT

from .fields import (
    Checksum,
    Engine,
    Family,
    FirewallMark,
    Forwarding,
    Name,
    Ports,
    Protocol,
    Scheduler,
    SchedulerFlags,
    TunnelType,
    Weight,
)
from .short import Section, ShortSection
from .watching import Check, PoolEntry

Threshold = Annotated[int, Field(ge=0, le=2**31 - 1)]
Port = Annotated[int, Field(ge=1, le=MAX_PORT)]


class DestinationEntry(ShortSection):
    """A real server in a service. Its weight may stand alone."""

    SHORT = "weight"

    weight: Weight = Field(default=1, description="Its share of the connections, 0 to 65535; 0 takes no new ones.")
    port: Port | None = Field(
        default=None,
        description="Where it answers, if not on the service's port; only masquerading can change the port.",
    )
    ports: Annotated[tuple[Port, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None,
        description="Several ports on it, each a destination of its own with this weight (and these thresholds); only "
        "with masquerading.",
    )
    forwarding: Forwarding | None = Field(default=None, description="As in the service, where it differs.")
    upper_threshold: Threshold = Field(
        default=0, description="With so many connections it gets no new ones (0: no limit)."
    )
    lower_threshold: Threshold = Field(
        default=0, description="Below so many it gets new ones again (0: three quarters of the upper threshold)."
    )


class PersistenceEntry(ShortSection):
    """A client stays on the real server that it came to. The timeout may stand alone."""

    SHORT = "timeout"

    timeout: Annotated[int, Field(ge=1, le=2678400)] = Field(
        description="Seconds without a connection after which a client is free again."
    )
    netmask: Annotated[int, Field(ge=0, le=128)] | None = Field(
        default=None,
        description="Prefix length of the networks that count as one client; 0: all of IPv4. Left out: every address for "
        "itself.",
    )
    engine: Engine | None = Field(
        default=None,
        description="sip: the Call-ID of SIP over UDP counts, too; with netmask 0 it alone, from whatever address.",
    )


class TunnelEntry(Section):
    """How packets are wrapped on their way to the real servers of a service with forwarding: tunnel."""

    type: TunnelType = Field(default="ipip", description="The kind of tunnel.")
    port: Port | None = Field(default=None, description="The UDP port of gue on the real servers.")
    checksum: Checksum = Field(default="none", description="The checksum of gue.")


class ServiceEntry(Section):
    """A virtual service: what clients connect to, and the real servers that answer."""

    vip: Name | None = Field(
        default=None,
        description="The name of one of the VIPs. Left out only with a firewall mark that somebody else sets.",
    )
    port: Annotated[int, Field(ge=0, le=MAX_PORT)] | None = Field(
        default=None,
        description="The port of the VIP; 0: all ports, which needs persistence. Real servers answer on the same port, "
        "except with masquerading.",
    )
    ports: Ports | None = Field(
        default=None,
        description="Several ports: numbers and ranges like 8000-8010. One virtual service for each, or one for all of "
        "them with firewall_mark.",
    )
    protocol: Protocol = Field(default="tcp", description="The transport protocol.")
    firewall_mark: FirewallMark | None = Field(
        default=None,
        description="Makes one virtual service of all its ports, with common persistence: packets to them get this mark "
        "(auto: a number of our own choice). Without ports, or without vip, the packets are marked by somebody else; a vip "
        "is put on the real servers all the same.",
    )
    family: Family | None = Field(
        default=None, description="The family of a service by firewall mark without vip. Left out: ipv4."
    )
    scheduler: Scheduler = Field(
        default="wlc",
        description="How the kernel chooses the real server of a new connection: rr takes turns, wlc prefers the least "
        "loaded one, sh keeps a client on its real server; see ipvsadm(8) for all of them.",
    )
    scheduler_flags: SchedulerFlags = Field(default=(), description="Flags of the schedulers sh and mh.")
    one_packet: bool = Field(
        default=False,
        description="Every UDP packet is scheduled for itself, without a connection (for DNS, say). Persistence holds all "
        "the same.",
    )
    persistence: PersistenceEntry | None = Field(
        default=None,
        description="A client stays on the real server that it came to. Left out: every connection is new.",
    )
    forwarding: Forwarding = Field(
        default="direct",
        description="How packets get to a real server. direct: unchanged, to its MAC address; it answers the client "
        "itself. tunnel: wrapped into another packet; likewise. masquerade: readdressed; it answers through the director.",
    )
    tunnel: TunnelEntry | None = Field(default=None, description="Details of forwarding: tunnel. Left out: ipip.")
    real_servers: dict[Name, DestinationEntry] = Field(
        default_factory=dict,
        min_length=1,
        description="Weight by real server, 0 to 65535, or more about it. Left out: all, with weight 1.",
    )
    check: Check | None = Field(
        default=None,
        description="How the directors watch its real servers: a kind (tcp, http, https, udp), or a mapping with one of the "
        "kinds and what differs from its defaults; none: not at all. Left out: as at the top of the file.",
    )
    pool: PoolEntry | None = Field(
        default=None,
        description="How many of its real servers may be out, and how they come in. Left out: as at the top of the file.",
    )
