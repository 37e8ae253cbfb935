"""The services and real servers of the cluster file in the making."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lbstates import words

from . import neutral
from .draft_checks import check_of, pool_of
from .hosts import Director
from .names import Names, after_address
from .neutral import Destination, Service, Tunnel
from .page import Draft
from .remarks import Notebook, Place


def add(
    draft: Draft,
    services: Sequence[Service],
    vip_names: Mapping[str, str],
    directors: Mapping[str, Director],
    given: Mapping[str, str],
    notes: Notebook,
) -> None:
    """Add `services` and `real_servers`; `vip_names` and `given` (names of real servers) are by address."""
    names = _name_real_servers(services, vip_names, directors, given, notes)
    entries: list[dict[str, Any]] = []
    said: set[Place] = set()
    for service in services:
        if service.address and service.address not in vip_names:
            continue  # said where the VIPs were made
        here = ("services", len(entries))
        usable = _usable(service, names, notes)
        entries.append(_service(service, usable, vip_names, names, notes))
        draft.remark(here, f"from {service.place}")
        if service.place not in said:
            draft.remark(here, *_kept(service, names))
        said.add(service.place)
        if service.mark:
            draft.remark(here, f"the packets get mark {service.mark} from a rule that is not lbmaster's")
    draft.data["services"] = entries
    used = dict.fromkeys(
        one.address
        for service in services
        for one in (*service.destinations, *(() if service.sorry is None else (service.sorry,)))
        if one.address in names and (not service.address or service.address in vip_names)
    )
    draft.data["real_servers"] = {names[address]: address for address in used}


def _name_real_servers(
    services: Sequence[Service],
    vips: Mapping[str, str],
    directors: Mapping[str, Director],
    given: Mapping[str, str],
    notes: Notebook,
) -> dict[str, str]:
    names, found = Names(), dict[str, str]()
    hosts = {address: director.name for director in directors.values() for address in director.addresses}
    for one in (one for service in services for one in service.destinations):
        address = one.address
        if address in found:
            continue
        if address in vips:
            said = f"the real server {address} has the address of the VIP {vips[address]}, so it is left out"
            notes.wrong(one.place, "real_server", said, "give the host an address of its own")
        elif not words.is_host_address(address):
            said = f"{address} is not an address that another host can have, so it is left out"
            notes.wrong(one.place, "real_server", said, "give the real server's own address")
        elif address in hosts:
            said = f"{address} is the director {hosts[address]}: it is a real server at the same time"
            notes.guessed(one.place, "real_server", said, "read about `backup_only`, or take another host")
            found[address] = names.unique(hosts[address])
        else:
            found[address] = names.unique(given.get(address, after_address("r", address)))
    return found


def _usable(service: Service, names: Mapping[str, str], notes: Notebook) -> list[list[Destination]]:
    """Return the destinations on each real server: several if they differ by nothing but their port."""
    found: dict[str, list[Destination]] = {}
    for one in service.destinations:
        if one.address not in names:
            continue
        others = found.setdefault(one.address, [])
        if others and not (_alike(one, others[0]) and one.port and others[0].port):
            said = (
                f"{one.address} is a real server of this service already, with port {others[0].port} and other settings"
            )
            notes.wrong(one.place, "real_server", f"{said}; this one is left out", "give the host a second address")
            continue
        others.append(one)
    return list(found.values())


def _alike(one: Destination, other: Destination) -> bool:
    same = (one.weight, one.upper, one.lower) == (other.weight, other.upper, other.lower)
    return same and one.forwarding == other.forwarding == "masquerade"


def _service(
    service: Service,
    usable: Sequence[Sequence[Destination]],
    vips: Mapping[str, str],
    names: Mapping[str, str],
    notes: Notebook,
) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if service.mark:
        entry["firewall_mark"] = service.mark
        if service.family == "ipv6":
            entry["family"] = "ipv6"
    else:
        entry |= {"vip": vips[service.address], "port": service.port, "protocol": service.protocol}
    entry["scheduler"] = service.scheduler
    if service.flags:
        entry["scheduler_flags"] = list(service.flags)
    if service.one_packet:
        entry["one_packet"] = True
    if service.persistence is not None:
        entry["persistence"] = _persistence(service.persistence)
    method, tunnel = _common([one for some in usable for one in some])
    entry["forwarding"] = method
    if tunnel is not None and tunnel != Tunnel():
        entry["tunnel"] = _tunnel(tunnel)
    entry["real_servers"] = {
        names[some[0].address]: _destination(some, service, method, tunnel, notes) for some in usable
    }
    every = [one for some in usable for one in some]
    check, pool = check_of(service, every, notes), pool_of(service, method, every, names, notes)
    if check is not None:
        entry["check"] = check
    if pool is not None:
        entry["pool"] = pool
    return entry


def _common(usable: Sequence[Destination]) -> tuple[neutral.Forwarding, Tunnel | None]:
    if not usable:
        return "direct", None
    method = Counter(one.forwarding for one in usable).most_common(1)[0][0]
    tunnels = Counter(one.tunnel for one in usable if one.tunnel is not None)
    return method, tunnels.most_common(1)[0][0] if tunnels else None


def _persistence(persistence: neutral.Persistence) -> object:
    if persistence.netmask is None and persistence.engine is None:
        return persistence.timeout
    fields = {"timeout": persistence.timeout, "netmask": persistence.netmask, "engine": persistence.engine}
    return {key: value for key, value in fields.items() if value is not None}


def _tunnel(tunnel: Tunnel) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": tunnel.type}
    if tunnel.port:
        fields["port"] = tunnel.port
    if tunnel.checksum != "none":
        fields["checksum"] = tunnel.checksum
    return fields


def _destination(
    some: Sequence[Destination], service: Service, method: str, tunnel: Tunnel | None, notes: Notebook
) -> object:
    one = some[0]
    fields: dict[str, Any] = {"weight": one.weight}
    if len(some) > 1:
        fields["ports"] = [each.port for each in some]
    elif one.forwarding == "masquerade" and one.port != service.port:
        fields["port"] = one.port
    if one.forwarding != method:
        fields["forwarding"] = one.forwarding
    if one.upper:
        fields["upper_threshold"] = one.upper
    if one.lower:
        fields["lower_threshold"] = one.lower
    if one.tunnel is not None and one.tunnel != tunnel:
        said = f"{one.address} has another kind of tunnel than the other real servers, and got theirs"
        notes.wrong(one.place, "real_server", said, "make a virtual service of its own for it")
    return fields["weight"] if len(fields) == 1 else fields


def _kept(service: Service, names: Mapping[str, str]) -> list[str]:
    lines = [f"not imported: {text}" for text in service.kept]
    checks: dict[tuple[str, ...], list[str]] = {}
    for one in service.destinations:
        if one.checks:
            checks.setdefault(one.checks, []).append(names.get(one.address, one.address))
    for texts, who in checks.items():
        whom = "all of them" if len(who) == len(service.destinations) > 1 else ", ".join(who)
        lines += [f"not imported, of {whom}: {text}" for text in texts]
    return lines
