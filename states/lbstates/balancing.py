"""The part of a director's desired state that IPVS gets: virtual services, their destinations, and the kernel's options."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from . import words
from .checks import Check, ExecCheck
from .kinds.destination import Forwarding, Tunnel, destination_identity
from .kinds.service import Family, Persistence, Protocol, family_of, mark_identity, service_identity
from .typed import (
    Count,
    FirewallMark,
    Interface,
    NameOrNone,
    Part,
    Port,
    PortOrAll,
    PortRange,
    Scheduler,
    SchedulerFlag,
    Seconds,
    SysctlName,
    SysctlValue,
    Weight,
    check_addresses,
    check_unique,
)

_LONGEST_TIMEOUT: Final = 31 * 86400


class ServiceDestination(Part, frozen=True):
    """One real server in one virtual service. Only masquerading can give it another port than the service's own.

    `host` is its name in the cluster file. `drained`: it takes no new connections, whatever its weight, because an
    operator said so, or because it is about to be removed; the weight is what it has again afterwards.
    """

    address: str
    port: PortOrAll
    weight: Weight
    forwarding: Forwarding = "direct"
    upper: Count = 0
    lower: Count = 0
    tunnel: Tunnel | None = None
    host: NameOrNone = ""
    drained: bool = False

    def __post_init__(self) -> None:
        check_addresses((self.address,))
        if self.forwarding == "local":
            raise ValueError("which destination is local is not for a desired state to say")
        if (self.tunnel is not None) != (self.forwarding == "tunnel"):
            raise ValueError(f"{self.address} has a tunnel although it is not reached by one, or none although it is")
        if self.tunnel is not None:
            _check_tunnel(self.tunnel)
        if self.lower > self.upper:
            raise ValueError(f"the lower threshold of {self.address} is above the upper one")


class Pool(Part, frozen=True):
    """How a service's real servers are taken out and in.

    At most `most_out` percent of them are out at once, by checks, drains and edits together. After its recovery a real
    server gets its full weight within `slow_start` seconds. `sorry` answers when no other one can; nobody watches it.
    """

    most_out: Annotated[int, Meta(ge=0, le=100)] = 50
    slow_start: Seconds = 0
    sorry: ServiceDestination | None = None


class VirtualService(Part, frozen=True):
    """`vip` is a bare address, `port` 0 all ports.

    With a `mark` other than 0 it is a service by firewall mark: `marked_ports` says which packets to `vip` are marked
    by us; without `vip` somebody else marks them, and `mark_family` says which family they are of. Without a `check` nobody
    watches its real servers; one that asks a port has a `port` wherever the destinations have none.
    """

    protocol: Protocol | None
    vip: str
    port: PortOrAll
    scheduler: Scheduler
    destinations: tuple[ServiceDestination, ...]
    flags: tuple[SchedulerFlag, ...] = ()
    one_packet: bool = False
    persistence: Persistence | None = None
    mark: FirewallMark = 0
    marked_ports: tuple[PortRange, ...] = ()
    mark_family: Family = "ipv4"
    check: Check | None = None
    pool: Pool = Pool()

    def __post_init__(self) -> None:
        check_addresses((self.vip,) if self.vip else ())
        if not self.mark and not (self.vip and self.protocol):
            raise ValueError("a virtual service without firewall mark needs a protocol and a VIP")
        if bool(self.marked_ports) != bool(self.mark and self.vip and self.protocol):
            raise ValueError("a firewall mark of ours needs protocol, VIP and ports, and nothing else has such ports")
        for ports in self.marked_ports:
            words.port_range(ports)
        if not set(self.flags) <= set(words.flags_of(self.scheduler)):
            raise ValueError(f"{', '.join(self.flags)}: not all of them are flags of the scheduler {self.scheduler}")
        _check_persistence(self.persistence, self.family)
        check_unique("destination", [(it.address, it.port) for it in self.all_destinations])
        _check_port(self.check, self.destinations)

    @property
    def all_destinations(self) -> tuple[ServiceDestination, ...]:
        """The real servers of its pool, and its sorry server."""
        return self.destinations if self.pool.sorry is None else (*self.destinations, self.pool.sorry)

    @property
    def identity(self) -> str:
        """How a host knows it, as `kinds.service.Service` has it."""
        if self.mark or self.protocol is None:
            return mark_identity(self.mark, self.family)
        return service_identity(self.protocol, self.vip, self.port)

    def identity_of(self, destination: ServiceDestination) -> str:
        """How a host knows one of its destinations (the sorry server is one), as `kinds.destination.Destination` has it."""
        return destination_identity(self.identity, destination.address, destination.port)

    @property
    def family(self) -> Family:
        """The family of its clients."""
        return family_of(self.vip) if self.vip else self.mark_family

    @property
    def key(self) -> tuple[object, ...]:
        """What the kernel tells services apart by."""
        return (self.mark, self.family) if self.mark else (self.protocol, self.vip, self.port)


class TimeoutOptions(Part, frozen=True):
    """Seconds; 0 leaves what the kernel has."""

    tcp: Seconds = 0
    tcpfin: Seconds = 0
    udp: Seconds = 0


class SyncOptions(Part, frozen=True):
    """How directors carry their connections to each other; `interface` None: the one with the director's address."""

    id: int
    interface: Interface | None = None
    maximum_length: Count = 1472
    group: str = "224.0.0.81"
    port: Port = 8848
    ttl: Count = 1

    def __post_init__(self) -> None:
        # One byte in the message, and 0 stands for every id (the kernel takes more, and then drops every message).
        if not 1 <= self.id <= 255:  # noqa: PLR2004
            raise ValueError(f"the sync id {self.id} is not between 1 and 255")
        if not words.is_multicast_group(self.group):
            raise ValueError(f"{self.group!r} is not an IPv4 multicast group")


class IpvsOptions(Part, frozen=True):
    """What is one for the whole kernel. `sysctls` by name below net/ipv4/vs.

    `backup_only`: a director that is real server too does not balance what another director sends it.
    """

    timeouts: TimeoutOptions = TimeoutOptions()
    sync: SyncOptions | None = None
    sysctls: dict[SysctlName, SysctlValue] = msgspec.field(default_factory=dict)
    backup_only: bool = False


def _check_tunnel(tunnel: Tunnel) -> None:
    """Raise `ValueError` for what the kernel does not know."""
    if (tunnel.type == "gue") != (0 < tunnel.port <= words.MAX_PORT):
        raise ValueError("a gue tunnel needs a UDP port, and no other has one")
    if tunnel.type != "gue" and tunnel.checksum != "none":
        raise ValueError(f"an {tunnel.type} tunnel has no checksum")


def _check_port(check: Check | None, destinations: tuple[ServiceDestination, ...]) -> None:
    if check is None or isinstance(check, ExecCheck) or check.port:
        return
    if not all(destination.port for destination in destinations):
        raise ValueError(f"the {check.kind} check of a service on all ports, or by firewall mark, asks no port")


def _check_persistence(persistence: Persistence | None, family: Family) -> None:
    if persistence is None:
        return
    # IPv4 knows a netmask that takes everybody for one client, IPv6 does not (kernel: ip_vs_add_service).
    shortest, longest = (1, 128) if family == "ipv6" else (0, 32)
    if not shortest <= persistence.netmask <= longest or not 1 <= persistence.timeout <= _LONGEST_TIMEOUT:
        raise ValueError(f"persistence of {persistence.timeout} s per /{persistence.netmask} is not possible")
    if persistence.engine is not None and persistence.engine not in words.ENGINES:
        raise ValueError(f"the persistence engine {persistence.engine!r} is not known")
