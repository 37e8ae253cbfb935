"""Services and destinations as `ipvsadm -Sn` prints them, which `ipvsadm -R` reads.

Pure, and after ipvsadm 1.31. What ipvsadm leaves out is left out here, too, so that both can be compared line by line:
thresholds, unless they are asked for. It is not how the table is programmed: that is netlink.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from .kinds.destination import Checksum, Destination, Forwarding
from .kinds.kind import Resource
from .kinds.service import CLIENT_PREFIX, Persistence, Protocol, Service, endpoint

_PROTOCOLS: Final[dict[Protocol, str]] = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
"""In the order in which ipvsadm lists them."""

# ipvsadm says -g of whatever is neither tunnel nor masquerading, LOCALNODE among it.
_METHODS: Final[dict[Forwarding, str]] = {"direct": "-g", "tunnel": "-i", "masquerade": "-m", "local": "-g"}
_CHECKSUMS: Final[dict[Checksum, str]] = {"none": "--tun-nocsum", "full": "--tun-csum", "remote": "--tun-remcsum"}

_FLAGS: Final = {"fallback": 0, "port": 1, "1": 0, "2": 1, "3": 2}
"""The last part of a scheduler's flag -> its bit."""
_OWN_FLAGS: Final = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}
_PLAIN_FLAGS: Final = ("flag-1", "flag-2", "flag-3")


def save(resources: Iterable[Resource], *, thresholds: bool = False) -> list[str]:
    """Write the services among the resources, each before its destinations, in ipvsadm's order.

    With `thresholds`, destinations have `-x` and `-y`, too: `ipvsadm -S` loses them, `ipvsadm -R` understands them.
    """
    wanted = tuple(resources)
    destinations: dict[str, list[Destination]] = {}
    for resource in wanted:
        if isinstance(resource, Destination):
            destinations.setdefault(resource.service, []).append(resource)
    lines: list[str] = []
    for service in sorted((r for r in wanted if isinstance(r, Service)), key=_service_order):
        lines.append(_service(service))
        ordered = sorted(destinations.get(service.identity, ()), key=_destination_order)
        lines += (_destination(service, destination, thresholds=thresholds) for destination in ordered)
    return lines


def _service(service: Service) -> str:
    words = ["-A", _name(service), "-s", service.scheduler]
    if service.persistence is not None:
        words += _persistence(service, service.persistence)
    if service.one_packet:
        words.append("-o")
    if flags := _flags(service):
        words += ("-b", ",".join(flags))
    return " ".join(words)


def _name(service: Service) -> str:
    if service.protocol is None:
        return f"-f {service.mark} -6" if service.family == "ipv6" else f"-f {service.mark}"
    return f"{_PROTOCOLS[service.protocol]} {endpoint(service.address, service.port)}"


def _persistence(service: Service, persistence: Persistence) -> Iterable[str]:
    yield from ("-p", str(persistence.timeout))
    if persistence.netmask != CLIENT_PREFIX[service.family]:
        yield from ("-M", _netmask(persistence.netmask) if service.family == "ipv4" else str(persistence.netmask))
    if persistence.engine is not None:
        yield from ("--pe", persistence.engine)


def _netmask(prefix: int) -> str:
    return str(ipaddress.IPv4Network((0, prefix)).netmask)


def _flags(service: Service) -> tuple[str, ...]:
    names = _OWN_FLAGS.get(service.scheduler, _PLAIN_FLAGS)
    bits = {_FLAGS[flag.rpartition("-")[2]] for flag in service.flags}
    return tuple(name for bit, name in enumerate(names) if bit in bits)


def _destination(service: Service, destination: Destination, *, thresholds: bool) -> str:
    there = endpoint(destination.address, destination.port)
    words = ["-a", _name(service), "-r", there, _METHODS[destination.forwarding], "-w", str(destination.weight)]
    if thresholds and (destination.upper or destination.lower):
        words += ("-x", str(destination.upper), "-y", str(destination.lower))
    if tunnel := destination.tunnel:
        words += ("--tun-type", tunnel.type)
        if tunnel.type == "gue":
            words += ("--tun-port", str(tunnel.port))
        if tunnel.type != "ipip":
            words.append(_CHECKSUMS[tunnel.checksum])
    return " ".join(words)


def _service_order(service: Service) -> tuple[object, ...]:
    protocols = (None, *_PROTOCOLS)
    address = ipaddress.ip_address(service.address).packed if service.address else b""
    return service.mark, service.family, protocols.index(service.protocol), address, service.port


def _destination_order(destination: Destination) -> tuple[object, ...]:
    address = ipaddress.ip_address(destination.address)
    return address.version, address.packed, destination.port
