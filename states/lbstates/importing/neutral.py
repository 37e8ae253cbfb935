"""What one source says, in the field's words, before several sources become one cluster.

Every value is as its tool means it, defaults included where the tool has one; None is what nobody said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .remarks import Place

Forwarding: TypeAlias = Literal["direct", "tunnel", "masquerade"]
Family: TypeAlias = Literal["ipv4", "ipv6"]


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How packets are wrapped; `port` is for gue alone, `checksum` not for ipip."""

    type: str = "ipip"
    port: int = 0
    checksum: str = "none"


@dataclass(frozen=True, slots=True)
class Check:
    """How a real server is watched: `kind` and `details` by the words of a cluster file, times in seconds.

    Port 0 is that of the real server.
    """

    kind: str
    details: tuple[tuple[str, Any], ...] = ()
    port: int = 0
    interval: float | None = None
    timeout: float | None = None
    fall: int | None = None


@dataclass(frozen=True, slots=True)
class Sorry:
    """Who answers when no real server does; port 0 is that of the service."""

    address: str
    port: int
    place: Place
    forwarding: Forwarding | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """A real server in a virtual service; port 0 is that of the service.

    `check` is how it is watched; `checks` are health checks, as written, that cannot be said like that. `written_port` is
    what stands in the file, whatever the forwarding method makes of it.
    """

    address: str
    port: int
    place: Place
    forwarding: Forwarding
    weight: int = 1
    upper: int = 0
    lower: int = 0
    tunnel: Tunnel | None = None
    checks: tuple[str, ...] = ()
    check: Check | None = None
    written_port: int = 0


@dataclass(frozen=True, slots=True)
class Persistence:
    """`netmask` is a prefix length, None for single clients."""

    timeout: int
    netmask: int | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service by address, or by `mark` (then `address` is "" and `protocol` None).

    `kept` are lines that a cluster file cannot express and that its author may want to read again.
    """

    place: Place
    address: str
    port: int
    protocol: str | None
    scheduler: str
    mark: int = 0
    family: Family = "ipv4"
    flags: tuple[str, ...] = ()
    persistence: Persistence | None = None
    one_packet: bool = False
    destinations: tuple[Destination, ...] = ()
    kept: tuple[str, ...] = ()
    sorry: Sorry | None = None

    @property
    def identity(self) -> tuple[str, str, int]:
        if self.protocol is None:
            return (f"fwmark {self.family}", "", self.mark)
        return (self.protocol, self.address, self.port)

    @property
    def name(self) -> str:
        """How people call it."""
        if self.protocol is None:
            return f"firewall mark {self.mark}"
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.protocol} {address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Vip:
    """An address of a VRRP instance; `prefix` None where the file gives none."""

    address: str
    prefix: int | None
    interface: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Route:
    """A route that comes and goes with the VIPs."""

    to: str
    via: str | None = None
    interface: str | None = None
    table: int | None = None
    source: str | None = None
    metric: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A routing rule that comes and goes with the VIPs."""

    source: str | None
    to: str | None
    table: int
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A VRRP instance on one director; times in seconds; `garp` by the names of the cluster file."""

    name: str
    place: Place
    vips: tuple[Vip, ...]
    interface: str | None = None
    virtual_router_id: int | None = None
    priority: int = 100
    advert_interval: float = 1
    version: int = 2
    auth_pass: str | None = None
    preempt: bool = True
    preempt_delay: int = 0
    source: str | None = None
    peers: tuple[str, ...] = ()
    unicast: bool = False
    track_interfaces: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    garp: tuple[tuple[str, int], ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncGroup:
    """Instances that change their state together."""

    name: str
    place: Place
    members: tuple[str, ...]


@dataclass(slots=True)
class Source:
    """Everything from one file (and what it includes). `director` is None where the file is not of one.

    `pairs` are the two families of one instance, as long as no sync group has them.
    """

    director: str | None
    place: Place
    tool: str
    instances: list[Instance] = field(default_factory=list)
    groups: list[SyncGroup] = field(default_factory=list)
    pairs: list[SyncGroup] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    garp: dict[str, int] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)
    sync: dict[str, int | str] | None = None
    networks: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
