"""What can be wrong with virtual services, beyond one field."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from lbstates.clusterfile.findings import Path, suggestion
from lbstates.clusterfile.model import Cluster
from lbstates.clusterfile.reading import IPV4, IPV6, address_of, destinations, keys, ports, single_ports, version_of
from lbstates.clusterfile.services import DestinationEntry, ServiceEntry

from .remark import Declared, Remark

_MOST_PORTS: Final = 1024
"""So many virtual services may come of one entry; a firewall mark makes one of any number of ports."""


def _references(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    for place, service in enumerate(cluster.services):
        if service.vip is not None and "vips" not in declared.broken and service.vip not in declared.vips:
            yield Remark(
                ("services", place, "vip"), f"there is no VIP {service.vip}", suggestion(service.vip, declared.vips)
            )
        for name in () if "real_servers" in declared.broken else service.real_servers.keys() - declared.real_servers:
            path: Path = ("services", place, "real_servers", name)
            wrong = f"{name} is a director" if name in declared.directors else f"there is no real server {name}"
            yield Remark(path, wrong, suggestion(name, declared.real_servers))


def _same_service(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    seen: dict[tuple[object, ...], int] = {}
    for place, service in enumerate(cluster.services):
        for key in keys(cluster, service):
            first = seen.setdefault(key, place)
            if first != place:
                wrong = f"services[{first}] is {_said(key)}, too"
                right = "give it another mark" if key[0] == "fwmark" else "give it another port"
                yield Remark(("services", place), wrong, f"{right}, or make one service of the two")
                break


def _said(key: tuple[object, ...]) -> str:
    kind, what, rest = key
    return f"{kind} {what} of IPv{rest}" if kind == "fwmark" else f"{kind} {what}:{rest}"


def _marked_twice(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """A packet has one mark, and one with the mark of a service never gets to a service by address and port."""
    seen: dict[tuple[object, ...], int] = {}
    marking = [place for place, service in enumerate(cluster.services) if service.firewall_mark is not None]
    for place in sorted(range(len(cluster.services)), key=lambda place: place not in marking):
        service = cluster.services[place]
        if service.vip is None:
            continue
        for port in single_ports(service) if ports(service) else ():
            key = (service.protocol, service.vip, port)
            first = seen.setdefault(key, place) if place in marking else seen.get(key, place)
            if first != place:
                wrong = f"the packets to {_said(key)} get the mark of services[{first}]"
                yield Remark(("services", place), wrong, "leave that port out of one of the two")
                break


def _what_it_takes(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """VIP, ports and mark fit together."""
    for place, service in enumerate(cluster.services):
        here: Path = ("services", place)
        given = [name for name in ("port", "ports") if getattr(service, name) is not None]
        if service.vip is None:
            yield from _marked_elsewhere(service, here, given)
        elif len(given) != 1 and (given or not isinstance(service.firewall_mark, int)):
            wrong = "port and ports are both given" if given else "neither port nor ports is given"
            yield Remark(here, wrong, "write one of the two")
        elif service.family is not None:
            yield Remark((*here, "family"), "the VIP says the family already", "leave `family` out")
        elif service.port == 0 and (service.persistence is None or service.firewall_mark is not None):
            right = "add `persistence`, without firewall_mark; or name the ports"
            yield Remark((*here, "port"), "all ports are possible with persistence only", right)
        elif service.firewall_mark is None and len(single_ports(service)) > _MOST_PORTS:
            wrong = f"{len(single_ports(service))} ports would be as many virtual services"
            yield Remark((*here, "ports"), wrong, "add `firewall_mark: auto` to make one service of them")


def _marked_elsewhere(service: ServiceEntry, here: Path, given: list[str]) -> Iterator[Remark]:
    if service.firewall_mark is None:
        yield Remark((*here, "vip"), "a VIP is missing", "name one, or the firewall_mark that somebody else sets")
        return
    if service.firewall_mark == "auto":
        yield Remark((*here, "firewall_mark"), "nobody would set a mark of our choice", "name a VIP and its ports")
    for name in given:
        wrong = "without a VIP the packets are marked by somebody else, and nobody asks for their port"
        yield Remark((*here, name), wrong, f"name the VIP, or leave `{name}` out")


def _scheduling(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for place, service in enumerate(cluster.services):
        here: Path = ("services", place)
        for flag in service.scheduler_flags:
            of = flag.partition("-")[0]
            if of in ("sh", "mh") and of != service.scheduler:
                wrong = f"{flag} is a flag of the scheduler {of}, not of {service.scheduler}"
                yield Remark((*here, "scheduler_flags"), wrong, f"use `scheduler: {of}`, or leave the flag out")
        if service.one_packet and service.protocol != "udp" and service.vip is not None:
            yield Remark((*here, "one_packet"), "only UDP has single packets", "use `protocol: udp`, or leave it out")


def _persistence(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for place, service in enumerate(cluster.services):
        persistence = service.persistence
        if persistence is None:
            continue
        here: Path = ("services", place, "persistence")
        if version_of(cluster, service) == IPV4 and (persistence.netmask or 0) > _LONGEST_IPV4:
            yield Remark((*here, "netmask"), f"{persistence.netmask} is too long for IPv4", "at most 32")
        if version_of(cluster, service) == IPV6 and persistence.netmask == 0:
            yield Remark((*here, "netmask"), "0 is too short for IPv6", "at least 1")
        if persistence.engine == "sip" and service.protocol != "udp":
            yield Remark((*here, "engine"), "the engine sip reads UDP only", "use `protocol: udp`, or leave it out")


def _tunnels(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for place, service in enumerate(cluster.services):
        if (tunnel := service.tunnel) is None:
            continue
        here: Path = ("services", place, "tunnel")
        if "tunnel" not in {
            entry.forwarding or service.forwarding for entry in destinations(cluster, service).values()
        }:
            yield Remark(
                here, f"nothing is tunnelled with `forwarding: {service.forwarding}`", "use `forwarding: tunnel`"
            )
        if (tunnel.type == "gue") != (tunnel.port is not None):
            right = "name it, like `port: 6080`" if tunnel.type == "gue" else "leave `port` out, or use `type: gue`"
            yield Remark((*here, "port"), "gue has a UDP port, and no other type has one", right)
        # gre has a checksum too, but the kernel's gre0 on the real server drops every packet that carries one.
        if tunnel.checksum != "none" and tunnel.type != "gue":
            wrong = f"a real server takes no {tunnel.type} packets with checksum"
            yield Remark((*here, "checksum"), wrong, "leave it out, or use `type: gue`")


def _destinations(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for place, service in enumerate(cluster.services):
        for name, entry in service.real_servers.items():
            here: Path = ("services", place, "real_servers", name)
            forwarding = entry.forwarding or service.forwarding
            if entry.ports is not None:
                yield from _several_ports((*here, "ports"), entry, forwarding)
            if entry.port is not None and forwarding != "masquerade" and (entry.port,) != single_ports(service):
                wrong = f"with {forwarding} forwarding a real server answers on the port of the service"
                yield Remark((*here, "port"), wrong, "leave `port` out, or use `forwarding: masquerade`")
            if entry.lower_threshold > entry.upper_threshold:
                wrong = f"{entry.lower_threshold} is above the upper threshold {entry.upper_threshold}"
                yield Remark((*here, "lower_threshold"), wrong, "choose a smaller one, or leave it out")
        if service.real_servers and not any(entry.weight for entry in service.real_servers.values()):
            path: Path = ("services", place, "real_servers")
            yield Remark(path, "all weights are 0: nobody takes connections", "give one a weight", warning=True)


def _several_ports(path: Path, entry: DestinationEntry, forwarding: str) -> Iterator[Remark]:
    if entry.port is not None:
        yield Remark(path, "port and ports are both given", "write one of the two")
    if forwarding != "masquerade":
        wrong = f"with {forwarding} forwarding a real server answers on the port of the service"
        yield Remark(path, wrong, "leave `ports` out, or use `forwarding: masquerade`")
    if len(set(entry.ports or ())) < len(entry.ports or ()):
        yield Remark(path, "a port stands here twice", "name each port once")


def _reachable(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """Only a tunnel carries one family in the other."""
    for place, service in enumerate(cluster.services):
        version = version_of(cluster, service)
        lacking = [
            name
            for name, entry in destinations(cluster, service).items()
            if (server := cluster.real_servers.get(name)) is not None
            and (entry.forwarding or service.forwarding) != "tunnel"
            and address_of(server, version) is None
        ]
        if lacking:
            path: Path = ("services", place, "vip" if service.vip is not None else "firewall_mark")
            have = "has" if len(lacking) == 1 else "have"
            wrong = f"{', '.join(lacking)} {have} no IPv{version} address"
            field = "address6" if version == IPV6 else "address"
            yield Remark(path, wrong, f"give them one (`{field}`), or use `forwarding: tunnel`")


def _carried(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """The kernel's tunnel devices for IPv6 take no IPv4 in ipip and gue (Linux 6.1: ip6tnl0 is for IPv6 in IPv6)."""
    for place, service in enumerate(cluster.services):
        kind = "ipip" if service.tunnel is None else service.tunnel.type
        if kind == "gre" or version_of(cluster, service) == IPV6:
            continue
        for name, entry in destinations(cluster, service).items():
            server = cluster.real_servers.get(name)
            tunnelled = (entry.forwarding or service.forwarding) == "tunnel"
            if server is not None and tunnelled and address_of(server, IPV4) is None:
                path: Path = ("services", place, "tunnel" if service.tunnel is not None else "forwarding")
                wrong = f"{name} has no IPv4 address, and {kind} does not carry IPv4 in IPv6"
                yield Remark(path, wrong, "give it one, or use `tunnel: {type: gre}`")


def _empty(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    if not cluster.services and not cluster.vips:
        yield Remark(("cluster",), "there is neither a VIP nor a service: nothing to do", "add both", warning=True)
    elif not cluster.services:
        yield Remark(
            ("vips",),
            "there is no service: keepalived moves the VIPs, and nothing is balanced",
            "add one",
            warning=True,
        )
    for place, service in enumerate(cluster.services):
        if not destinations(cluster, service):
            path: Path = ("services", place)
            yield Remark(path, "it has no real server: every connection is refused", "add `real_servers`", warning=True)


def _unused_vips(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    if not cluster.services or any(service.vip is None for service in cluster.services):
        return  # which VIPs have packets that somebody else marks, nobody here knows
    gateways = _gateways(cluster)
    for vip in cluster.vips.keys() - {service.vip for service in cluster.services} - gateways:
        yield Remark(("vips", vip), f"no service uses {vip}", "add a service, or leave the VIP out", warning=True)


def _gateways(cluster: Cluster) -> set[str]:
    """Name the VIPs that masqueraded real servers may have as their default gateway: those in their network."""
    masqueraded = {
        ipaddress.ip_address(address)
        for service in cluster.services
        for name, entry in destinations(cluster, service).items()
        if (entry.forwarding or service.forwarding) == "masquerade"
        and (server := cluster.real_servers.get(name)) is not None
        for address in (server.address, server.address6)
        if address is not None
    }
    networks = {name: ipaddress.ip_interface(vip.address).network for name, vip in cluster.vips.items()}
    return {name for name, network in networks.items() if any(address in network for address in masqueraded)}


_LONGEST_IPV4: Final = 32

CHECKS: Final = (
    _references,
    _same_service,
    _marked_twice,
    _what_it_takes,
    _scheduling,
    _persistence,
    _tunnels,
    _destinations,
    _reachable,
    _carried,
    _empty,
    _unused_vips,
)
