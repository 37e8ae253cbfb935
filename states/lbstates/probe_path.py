"""How a probe reaches one real server of direct routing or a tunnel as traffic does: at the VIP, through IPVS.

A director connects to the VIP with a mark on its packets; a service by that mark has this real server as its only
destination. So the answer comes from the VIP, or none comes, as for a client. The services are resources like all others,
but nobody's clients: they are not shown and not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from zlib import crc32

from .balancing import ServiceDestination, VirtualService
from .desired import DirectorState
from .errors import CannotDerive
from .facts import HostFacts, interface_of
from .keepalived_instance import vrrp_interface
from .kinds.destination import Destination, Forwarding, Tunnel
from .kinds.kind import Resource
from .kinds.service import Family, Service
from .kinds.sysctl import Sysctl

_FIRST: Final = 0x50000000
_MOST: Final = 0x0FFFFFFF
SCHEDULER: Final = "rr"
"""Of the services by a mark of ours: there is nothing to choose from."""


class Way(NamedTuple):
    """Where the packets go, and how they are sent there; `family` is that of the VIP."""

    address: str
    forwarding: Forwarding
    tunnel: Tunnel | None
    family: Family


def way_of(service: VirtualService, destination: ServiceDestination) -> Way | None:
    """Return how its probes go; None: straight to the real server's own address, or there are none."""
    check = service.check
    if check is None or not check.by_vip or not service.vip or destination.forwarding == "masquerade":
        return None
    return Way(destination.address, destination.forwarding, destination.tunnel, service.family)


def mark_of(way: Way) -> int:
    """Return the mark of packets that go this way: the same on every host, at every time."""
    tunnel = "" if way.tunnel is None else way.tunnel.describe()
    said = f"{way.address} {way.forwarding} {tunnel} {way.family}"
    return _FIRST | (crc32(said.encode()) & _MOST)


def is_probe_mark(mark: int) -> bool:
    """Whether a service by this mark, or a packet with it, is there for probes alone."""
    return _FIRST <= mark <= _FIRST | _MOST


def is_probe_path(identity: str) -> bool:
    """Whether the identity of a service, or of a destination, is that of a way for probes."""
    name, _, rest = identity.partition(" ")
    mark = rest.partition(" ")[0]
    return name == "fwmark" and mark.isascii() and mark.isdigit() and is_probe_mark(int(mark))


def ways(state: DirectorState) -> tuple[Way, ...]:
    """Return all that the probes of a state take, each once."""
    probed = ((service, destination) for service in state.services for destination in service.destinations)
    return tuple(dict.fromkeys(way for each in probed if (way := way_of(*each)) is not None))


def resources(state: DirectorState, host: str, facts: HostFacts) -> Iterator[Resource]:
    """Derive what `host`, one of the state's directors, needs for the probes of all services. Raises `CannotDerive`."""
    found = ways(state)
    _check_marks(found, host)
    if any(way.family == "ipv4" for way in found):
        yield from _answers_from_own_vips(state, host, facts)
    for way in found:
        # One packet at a time concerns UDP only: there the entry of a probe would lead later ones to the same real server.
        service = Service(None, "", 0, SCHEDULER, one_packet=True, mark=mark_of(way), mark_family=way.family)
        yield service
        yield Destination(service.identity, way.address, 0, way.forwarding, 1, tunnel=way.tunnel)


def _check_marks(found: tuple[Way, ...], host: str) -> None:
    """Two ways of one mark would share a service, and what one real server answers would be held for the other's."""
    by_mark: dict[int, Way] = {}
    for way in found:
        other = by_mark.setdefault(mark_of(way), way)
        if other != way:
            raise CannotDerive(
                f"{host}: the probes of {other.address} and {way.address}",
                f"by chance both have the firewall mark {mark_of(way)}",
                "give one of the two another address, or ask its service's real servers with `by_vip: false`",
            )


def _answers_from_own_vips(state: DirectorState, host: str, facts: HostFacts) -> Iterator[Sysctl]:
    """Let the director that holds the VIP take packets from it, which come from the real server. IPv6 always does."""
    vips = {service.vip for service in state.services for it in service.destinations if way_of(service, it)}
    interfaces = {interface_of(host, state.hosts[host], facts)}
    for instance in state.instances:
        if instance.family == "ipv4":
            common = vrrp_interface(state, instance, host, facts)
            interfaces |= {vip.interface or common for vip in instance.vips if vip.bare in vips}
    for interface in sorted(interfaces):
        yield Sysctl(f"net/ipv4/conf/{interface}/accept_local", "1")
        if len(interfaces) > 1:
            # Strict would ask that the VIP is on the interface by which its answer comes in.
            yield Sysctl(f"net/ipv4/conf/{interface}/rp_filter", "2")
