"""What can be wrong with a cluster file although every field alone is right. One function per question."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from .findings import Path, suggestion
from .model import Cluster

_LONGEST_NETWORK: Final = 30
"""A longer prefix is one of an address; it says nothing about the network of the hosts."""


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


def check_all(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    """Ask every question."""
    for check in _CHECKS:
        yield from check(cluster, declared)


def _roles(_: Cluster, declared: Declared) -> Iterator[Remark]:
    for name in declared.directors & declared.real_servers:
        wrong = f"{name} is a director too"
        yield Remark(("real_servers", name), wrong, "a host with both roles is not supported yet: choose one of them")


def _duplicate_addresses(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    seen: dict[str, str] = {}
    for section, entries in (
        ("directors", cluster.directors),
        ("real_servers", cluster.real_servers),
        ("vips", cluster.vips),
    ):
        for name, written in entries.items():
            address = written.partition("/")[0]
            if address in seen:
                wrong = f"{address} is the address of {seen[address]}, too"
                yield Remark((section, name), wrong, "every host and every VIP has an address of its own")
            seen.setdefault(address, name)


def _networks(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for name, vip in cluster.vips.items():
        interface = ipaddress.IPv4Interface(vip)
        network = interface.network
        if network.prefixlen > _LONGEST_NETWORK:
            continue
        if interface.ip in (network.network_address, network.broadcast_address):
            yield Remark(("vips", name), f"{interface.ip} is no host's address in {network}", "choose one between")
        yield from _hosts_in(network, name, cluster)


def _hosts_in(network: ipaddress.IPv4Network, vip: str, cluster: Cluster) -> Iterator[Remark]:
    outside = [name for name, address in cluster.directors.items() if ipaddress.IPv4Address(address) not in network]
    if outside and len(outside) == len(cluster.directors):
        held = ", ".join(cluster.directors.values())
        wrong = f"the VIP is outside the network of the directors ({held})"
        yield Remark(("vips", vip), wrong, "choose an address in their network, with that network's prefix length")
        return
    for name in outside:
        wrong = f"{cluster.directors[name]} is outside the network {network} of the VIP {vip}"
        yield Remark(("directors", name), wrong, "a director needs an address in the network of every VIP")
    used = {name for s in cluster.services if s.vip == vip for name in s.real_servers or cluster.real_servers}
    for name in sorted(used & cluster.real_servers.keys()):
        if ipaddress.IPv4Address(cluster.real_servers[name]) not in network:
            wrong = f"{cluster.real_servers[name]} is outside the network {network} of the VIP {vip}"
            yield Remark(("real_servers", name), wrong, "direct routing reaches real servers in the same network only")


def _references(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    for place, service in enumerate(cluster.services):
        if declared.vips and service.vip not in declared.vips:
            yield Remark(
                ("services", place, "vip"), f"there is no VIP {service.vip}", suggestion(service.vip, declared.vips)
            )
        for name in service.real_servers.keys() - declared.real_servers if declared.real_servers else ():
            path: Path = ("services", place, "real_servers", name)
            wrong = f"{name} is a director" if name in declared.directors else f"there is no real server {name}"
            yield Remark(path, wrong, suggestion(name, declared.real_servers))


def _same_service(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    seen: dict[tuple[str, str, int], int] = {}
    for place, service in enumerate(cluster.services):
        key = (service.protocol, service.vip, service.port)
        first = seen.setdefault(key, place)
        if first != place:
            wrong = f"services[{first}] is {service.protocol} {service.vip}:{service.port}, too"
            yield Remark(("services", place), wrong, "give it another port, or make one service of the two")


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
    used = {name for service in cluster.services for name in service.real_servers or cluster.real_servers}
    for name in cluster.real_servers.keys() - used:
        yield Remark(("real_servers", name), f"no service uses {name}", "add it to one, or leave it out", warning=True)
    for place, service in enumerate(cluster.services):
        if service.real_servers and not any(service.real_servers.values()):
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
