"""What can be wrong with a cluster file although every field alone is right. One function per question."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from .findings import Path, suggestion
from .model import Cluster
from .reading import address_of, bare, destinations, keys

_HOST_BITS: Final = 2
"""With fewer a prefix is one of an address; it says nothing about the network of the hosts."""
_IPV4: Final = 4

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding that does not know its line yet; `warning` means that the file can be used as it is."""

    path: Path
    wrong: str
    right: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """The names in the file, also of those entries whose value is wrong: a typo in an address makes no host unknown."""

    directors: frozenset[str]
    real_servers: frozenset[str]
    vips: frozenset[str]
    instances: frozenset[str]


def check_all(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    """Ask every question."""
    for check in _CHECKS:
        yield from check(cluster, declared)


def _roles(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    if cluster.ipvs.backup_only:
        return
    for name in declared.directors & declared.real_servers:
        wrong = f"{name} is a director too, and the two would send packets round and round"
        yield Remark(("real_servers", name), wrong, "choose one of the roles, or set `backup_only: true` under `ipvs`")


def _duplicate_addresses(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    seen: dict[str, str] = {}
    for section, name, address in _addresses(cluster):
        # A host with both roles has one address.
        if seen.get(address, name) != name:
            wrong = f"{address} is the address of {seen[address]}, too"
            yield Remark((section, name), wrong, "every host and every VIP has an address of its own")
        seen.setdefault(address, name)


def _addresses(cluster: Cluster) -> Iterator[tuple[str, str, str]]:
    """Section, name and bare address of everything in the file that has one."""
    for name, director in cluster.directors.items():
        yield from (("directors", name, address) for address in (director.address, director.address6) if address)
    for name, server in cluster.real_servers.items():
        yield from (("real_servers", name, address) for address in (server.address, server.address6) if address)
    for name, vip in cluster.vips.items():
        yield "vips", name, bare(vip.address)


def _networks(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for name, vip in cluster.vips.items():
        interface = ipaddress.ip_interface(vip.address)
        network = interface.network
        if network.max_prefixlen - network.prefixlen < _HOST_BITS:
            continue
        if network.version == _IPV4 and interface.ip in (network.network_address, network.broadcast_address):
            yield Remark(("vips", name), f"{interface.ip} is no host's address in {network}", "choose one between")
        # A VIP on an interface of its own is in a network that the directors' addresses say nothing about.
        if vip.interface is None:
            yield from _directors_in(network, name, cluster)
        yield from _real_servers_in(network, name, cluster)


def _directors_in(network: Network, vip: str, cluster: Cluster) -> Iterator[Remark]:
    held = {name: address_of(entry, network.version) for name, entry in cluster.directors.items()}
    known = {name: address for name, address in held.items() if address is not None}
    outside = [name for name, address in known.items() if ipaddress.ip_address(address) not in network]
    if outside and len(outside) == len(known):
        wrong = f"the VIP is outside the network of the directors ({', '.join(known.values())})"
        yield Remark(("vips", vip), wrong, "choose an address in their network, with that network's prefix length")
        return
    for name in outside:
        wrong = f"{known[name]} is outside the network {network} of the VIP {vip}"
        yield Remark(("directors", name), wrong, "a director needs an address in the network of every VIP")


def _real_servers_in(network: Network, vip: str, cluster: Cluster) -> Iterator[Remark]:
    direct = {
        name
        for service in cluster.services
        if service.vip == vip
        for name, entry in destinations(cluster, service).items()
        if (entry.forwarding or service.forwarding) == "direct"
    }
    for name in sorted(direct & cluster.real_servers.keys()):
        address = address_of(cluster.real_servers[name], network.version)
        if address is not None and ipaddress.ip_address(address) not in network:
            wrong = f"{address} is outside the network {network} of the VIP {vip}"
            right = "direct routing reaches real servers in the same network only: use tunnel or masquerade"
            yield Remark(("real_servers", name), wrong, right)


def _references(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    for place, service in enumerate(cluster.services):
        if service.vip is not None and declared.vips and service.vip not in declared.vips:
            yield Remark(
                ("services", place, "vip"), f"there is no VIP {service.vip}", suggestion(service.vip, declared.vips)
            )
        for name in service.real_servers.keys() - declared.real_servers if declared.real_servers else ():
            path: Path = ("services", place, "real_servers", name)
            wrong = f"{name} is a director" if name in declared.directors else f"there is no real server {name}"
            yield Remark(path, wrong, suggestion(name, declared.real_servers))


def _same_service(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    seen: dict[tuple[object, ...], int] = {}
    for place, service in enumerate(cluster.services):
        for key in keys(service):
            first = seen.setdefault(key, place)
            if first != place:
                wrong = f"services[{first}] is {' '.join(map(str, key))}, too"
                yield Remark(("services", place), wrong, "give it another port, or make one service of the two")
                break


def _vrrp(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    if cluster.vrrp.auth_pass is None:
        return
    yield Remark(
        ("vrrp", "auth_pass"),
        "a VRRP password is sent in clear text, and protects from mistakes only",
        "leave it out to get VRRP version 3, which has none",
        warning=True,
    )
    if cluster.vrrp.advert_interval % 1:
        yield Remark(
            ("vrrp", "advert_interval"),
            f"{cluster.vrrp.advert_interval:g} s is no whole number, and with auth_pass VRRP is version 2",
            "use whole seconds, or leave auth_pass out",
        )


def _single_director(_: Cluster, declared: Declared) -> Iterator[Remark]:
    if len(declared.directors) == 1:
        yield Remark(("directors",), "there is one director: nobody can take its VIPs over", "add another one", True)


def _unused(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for vip in cluster.vips.keys() - {service.vip for service in cluster.services}:
        yield Remark(("vips", vip), f"no service uses {vip}", "add a service, or leave the VIP out", warning=True)
    used = {name for service in cluster.services for name in destinations(cluster, service)}
    for name in cluster.real_servers.keys() - used:
        yield Remark(("real_servers", name), f"no service uses {name}", "add it to one, or leave it out", warning=True)
    for place, service in enumerate(cluster.services):
        if service.real_servers and not any(entry.weight for entry in service.real_servers.values()):
            path: Path = ("services", place, "real_servers")
            yield Remark(path, "all weights are 0: nobody takes connections", "give one a weight", warning=True)


_CHECKS: tuple[Callable[[Cluster, Declared], Iterator[Remark]], ...] = (
    _roles,
    _duplicate_addresses,
    _networks,
    _references,
    _same_service,
    _vrrp,
    _single_director,
    _unused,
)
