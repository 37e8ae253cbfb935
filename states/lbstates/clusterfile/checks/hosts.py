"""What can be wrong with hosts and addresses: roles, duplicates, networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from lbstates.clusterfile.findings import Path
from lbstates.clusterfile.model import Cluster
from lbstates.clusterfile.reading import IPV4, address_of, bare, destinations, pool_of
from lbstates.clusterfile.sections import DirectorEntry, RealServerEntry

from .remark import Declared, Remark

_HOST_BITS: Final = 2
"""With fewer a prefix is one of an address; it says nothing about the network of the hosts."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


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


def _families(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    sections: tuple[tuple[str, Mapping[str, DirectorEntry | RealServerEntry]], ...] = (
        ("directors", cluster.directors),
        ("real_servers", cluster.real_servers),
    )
    for section, entries in sections:
        for name, entry in entries.items():
            if entry.address6 is not None and ":" in entry.address:
                path: Path = (section, name, "address6")
                yield Remark(
                    path, f"{name} has an IPv6 address already", "leave one out, or make `address` its IPv4 one"
                )


def _networks(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for name, vip in cluster.vips.items():
        interface = ipaddress.ip_interface(vip.address)
        network = interface.network
        if network.max_prefixlen - network.prefixlen < _HOST_BITS:
            continue
        if network.version == IPV4 and interface.ip in (network.network_address, network.broadcast_address):
            yield Remark(("vips", name), f"{interface.ip} is no host's address in {network}", "choose one between")
        # A VIP on an interface of its own is in a network that the directors' addresses say nothing about.
        entry = cluster.instances.get(cluster.instance_of(name))
        elsewhere = vip.interface is not None or (entry is not None and entry.interface is not None)
        remarks = [] if elsewhere else list(_directors_in(network, name, cluster))
        yield from remarks
        if not any(remark.path == ("vips", name) for remark in remarks):
            yield from _real_servers_in(network, name, cluster)


def _directors_in(network: Network, vip: str, cluster: Cluster) -> Iterator[Remark]:
    held = {name: address_of(entry, network.version) for name, entry in cluster.directors.items()}
    known = {name: address for name, address in held.items() if address is not None}
    outside = [name for name, address in known.items() if ipaddress.ip_address(address) not in network]
    if outside and len(outside) == len(known):
        wrong = f"the VIP is outside the network of the directors ({', '.join(known.values())})"
        yield Remark(
            ("vips", vip),
            wrong,
            "choose an address in their network, with that network's prefix length, or name its `interface`",
        )
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
    direct |= {
        sorry.real_server
        for service in cluster.services
        if service.vip == vip and (sorry := pool_of(cluster, service).sorry_server) is not None
        if (sorry.forwarding or service.forwarding) == "direct" and sorry.real_server is not None
    }
    for name in sorted(direct & cluster.real_servers.keys()):
        address = address_of(cluster.real_servers[name], network.version)
        if address is not None and ipaddress.ip_address(address) not in network:
            wrong = f"{address} is outside the network {network} of the VIP {vip}"
            right = "direct routing reaches real servers in the same network only: use tunnel or masquerade"
            yield Remark(("real_servers", name), wrong, right)


def _unused_servers(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    used = {name for service in cluster.services for name in destinations(cluster, service)}
    sorry = (pool_of(cluster, service).sorry_server for service in cluster.services)
    used |= {it.real_server for it in sorry if it is not None and it.real_server is not None}
    for name in cluster.real_servers.keys() - used:
        yield Remark(("real_servers", name), f"no service uses {name}", "add it to one, or leave it out", warning=True)


CHECKS: Final = (_roles, _duplicate_addresses, _families, _networks, _unused_servers)
