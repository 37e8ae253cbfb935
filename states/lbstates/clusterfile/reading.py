"""What several readers of a correct cluster file ask of it: the checks, and the compiler. Pure, and without pydantic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lbstates.kinds.service import family_of
from lbstates.words import port_range

if TYPE_CHECKING:
    from .model import Cluster
    from .sections import DirectorEntry, RealServerEntry
    from .services import DestinationEntry, ServiceEntry
    from .watching import CheckEntry, HttpProbe, PoolEntry

IPV4: Final = 4
IPV6: Final = 6


def bare(vip: str) -> str:
    """Return an address without its prefix length."""
    return vip.partition("/")[0]


def address_of(host: DirectorEntry | RealServerEntry, version: int) -> str | None:
    """Return a host's address of IP version 4 or 6, if it has one."""
    found = (address for address in (host.address, host.address6) if address is not None)
    return next((address for address in found if (":" in address) == (version == IPV6)), None)


def version_of(cluster: Cluster, service: ServiceEntry) -> int:
    """Return the IP version of a service's clients; 4 where its VIP is not known."""
    vip = cluster.vips.get(service.vip or "")
    family = service.family if vip is None else family_of(vip.address)
    return IPV6 if family == "ipv6" else IPV4


def destinations(cluster: Cluster, service: ServiceEntry) -> dict[str, DestinationEntry]:
    """Return the real servers of a service: those that it names, or else all, with all defaults."""
    if service.real_servers:
        return dict(service.real_servers)
    from .services import DestinationEntry  # noqa: PLC0415 - brings pydantic, which whoever has a cluster has loaded

    return dict.fromkeys(cluster.real_servers, DestinationEntry())


def ports(service: ServiceEntry) -> tuple[str, ...]:
    """Return its ports and ranges as texts; empty for all ports, or none."""
    if service.ports is not None:
        return service.ports
    return (str(service.port),) if service.port else ()


def single_ports(service: ServiceEntry) -> tuple[int, ...]:
    """Return every port by itself; 0 for all ports."""
    return tuple(dict.fromkeys(port for text in ports(service) for port in port_range(text))) or (0,)


def own_ports(entry: DestinationEntry) -> tuple[int, ...]:
    """Return the ports of its own that a real server has in a service; (0,) for the one that the client named."""
    return entry.ports or (entry.port or 0,)


def keys(cluster: Cluster, service: ServiceEntry) -> Iterator[tuple[object, ...]]:
    """Yield what the kernel would tell the virtual services of an entry apart by; nothing for a mark of our own choice."""
    if service.firewall_mark is None:
        yield from ((service.protocol, service.vip, port) for port in single_ports(service))
    elif service.firewall_mark != "auto":
        yield ("fwmark", service.firewall_mark, version_of(cluster, service))


def check_of(cluster: Cluster, service: ServiceEntry) -> CheckEntry | None:
    """Return how the real servers of a service are watched: its own way, or that of the file; None: not at all."""
    found = cluster.check if service.check is None else service.check
    return None if found is None or not found.kinds else found


def pool_of(cluster: Cluster, service: ServiceEntry) -> PoolEntry:
    """Return how the real servers of a service go out and in: its own way, or that of the file, with all defaults."""
    found = service.pool or cluster.pool
    if found is not None:
        return found
    from .watching import PoolEntry  # noqa: PLC0415 - brings pydantic, which whoever has a cluster has loaded

    return PoolEntry()


def statuses(entry: HttpProbe) -> tuple[tuple[int, int], ...]:
    """Return the ranges of right answers of a check: "200-299" is (200, 299), "200" is (200, 200)."""
    found = (text.partition("-") for text in entry.status)
    return tuple((int(first), int(last or first)) for first, _, last in found)
