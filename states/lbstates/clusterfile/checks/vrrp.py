"""What can be wrong with VRRP instances, beyond one field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from lbstates.clusterfile.findings import Path, suggestion
from lbstates.clusterfile.model import Cluster
from lbstates.clusterfile.reading import IPV4, IPV6, address_of
from lbstates.clusterfile.sections import InstanceEntry
from lbstates.kinds.service import family_of
from lbstates.words import MAX_VRID, port_range

from .remark import Declared, Remark

_MOST_IPV6: Final = 80
"""VIPs of one instance: keepalived has room for 89 with an MTU of 1500."""
_SHORT_INTERVAL: Final = 0.1
"""Seconds: below it a busy director or a paused virtual machine is taken for dead."""


def _known(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    instances = {cluster.instance_of(name) for name in cluster.vips}
    if len(cluster.vips) == len(declared.vips):
        for name in cluster.instances.keys() - instances:
            yield Remark(("instances", name), f"no VIP belongs to {name}", suggestion(name, instances))
    for name, entry in cluster.instances.items():
        if entry.home is not None and declared.directors and entry.home not in declared.directors:
            path: Path = ("instances", name, "home")
            yield Remark(path, f"there is no director {entry.home}", suggestion(entry.home, declared.directors))


def _one_family(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    first: dict[str, str] = {}
    for name, vip in cluster.vips.items():
        leader = first.setdefault(cluster.instance_of(name), name)
        if family_of(cluster.vips[leader].address) != family_of(vip.address):
            wrong = f"{leader}, of the same VRRP instance, is of the other family"
            yield Remark(("vips", name), wrong, "give it an instance of its own, and both the same `sync_group`")


def _advertised(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """All VIPs of an instance stand in each of its advertisements, and that is one packet."""
    for name, vips in _members(cluster).items():
        if len(vips) > _MOST_IPV6 and family_of(cluster.vips[vips[0]].address) == "ipv6":
            wrong = f"{len(vips)} IPv6 VIPs of the instance {name} do not fit into an advertisement"
            right = f"{_MOST_IPV6} do: give the others an instance of their own, and both the same `sync_group`"
            yield Remark(("vips", vips[_MOST_IPV6]), wrong, right)


def _numbers(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    reserved = {number for text in cluster.vrrp.reserved_virtual_router_ids for number in port_range(text)}
    seen: dict[tuple[object, ...], str] = {}
    for name, vips in _members(cluster).items():
        entry = cluster.instances.get(name)
        if entry is None or entry.virtual_router_id is None:
            continue
        path: Path = ("instances", name, "virtual_router_id")
        number = entry.virtual_router_id
        if number in reserved:
            yield Remark(path, f"{number} is reserved", "choose another, or leave it out")
        family = family_of(cluster.vips[vips[0]].address)
        keys = [(director, _interface(cluster, entry, director), family, number) for director in cluster.directors]
        others = {seen.setdefault(key, name) for key in keys} - {name}
        if others:
            wrong = f"{number} is the number of {' and '.join(sorted(others))}, too"
            yield Remark(path, wrong, "choose another, or leave it out")


def _interface(cluster: Cluster, entry: InstanceEntry, director: str) -> str | None:
    """Where a director stands for the election; None: where its address is."""
    return entry.interface or cluster.directors[director].interface or cluster.vrrp.interface


def _enough_numbers(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    reserved = {number for text in cluster.vrrp.reserved_virtual_router_ids for number in port_range(text)}
    wanted = len(_members(cluster))
    free = MAX_VRID - len(reserved)
    if reserved and wanted > free:
        wrong = f"{wanted} VRRP instances have {free} numbers between them"
        yield Remark(("vrrp", "reserved_virtual_router_ids"), wrong, "reserve fewer, or give VIPs a common `instance`")


def _versions(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """Each instance as it will be: what it has itself, or else what all have."""
    said: set[tuple[Path, str]] = set()
    for name, vips in _members(cluster).items():
        entry = cluster.instances.get(name, InstanceEntry())
        six = family_of(cluster.vips[vips[0]].address) == "ipv6"
        for remark in _version(cluster, name, entry, six=six):
            if (remark.path, remark.wrong) not in said:
                said.add((remark.path, remark.wrong))
                yield remark


def _version(cluster: Cluster, name: str, entry: InstanceEntry, *, six: bool) -> Iterator[Remark]:
    def at(field: str) -> Path:
        own = getattr(entry, field) is not None
        return ("instances", name, field) if own else ("vrrp", field)

    auth_pass = cluster.vrrp.auth_pass if entry.auth_pass is None else entry.auth_pass
    wanted = entry.version or cluster.vrrp.version
    version = wanted or (3 if auth_pass is None else 2)
    interval = entry.advert_interval or cluster.vrrp.advert_interval
    if auth_pass is not None:
        wrong = "a VRRP password is sent in clear text, and protects from mistakes only"
        yield Remark(at("auth_pass"), wrong, "leave it out to get VRRP version 3, which has none", warning=True)
        if wanted == _VERSION_3:
            yield Remark(at("auth_pass"), "VRRP version 3 has no password", "leave one of the two out")
    if six and version != _VERSION_3:
        because = "auth_pass forces" if wanted is None else "is set to"
        path = at("auth_pass") if wanted is None else at("version")
        yield Remark(path, f"{name} has IPv6 VIPs, which need VRRP version 3; {because} version 2", "use version 3")
    if interval % 1 and version == _VERSION_2:
        because = "with auth_pass VRRP is version 2" if wanted is None else "VRRP is version 2"
        wrong = f"{interval:g} s is no whole number, and {because}"
        right = "use whole seconds, or leave auth_pass out" if wanted is None else "use whole seconds, or version 3"
        yield Remark(at("advert_interval"), wrong, right)
    elif round(interval * 100, 6) % 1:
        wrong = f"{interval:g} s is no whole number of hundredths, in which VRRP version 3 counts"
        yield Remark(at("advert_interval"), wrong, f"write {max(round(interval, 2), 0.01):g}")
    if interval < _SHORT_INTERVAL:
        wrong = f"with {interval:g} s a pause of {3 * interval:g} s, as every virtual machine has, moves the VIPs"
        yield Remark(at("advert_interval"), wrong, f"use {_SHORT_INTERVAL:g} or more", warning=True)


def _preemption(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    sections: list[tuple[Path, bool | None, int | None]] = [
        (("vrrp",), cluster.vrrp.preempt, cluster.vrrp.preempt_delay),
        *((("instances", name), entry.preempt, entry.preempt_delay) for name, entry in cluster.instances.items()),
    ]
    for path, preempt, delay in sections:
        if preempt is False and delay:
            wrong = "there is nothing to delay: without preempt no VIP is taken back"
            yield Remark((*path, "preempt_delay"), wrong, "leave it out, or use `preempt: true`")


def _loopback(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """What is on it leaves no host, and keepalived refuses it for an election."""
    given: list[tuple[Path, str | None]] = [
        (("vrrp", "interface"), cluster.vrrp.interface),
        *((("directors", name, "interface"), entry.interface) for name, entry in cluster.directors.items()),
        *((("instances", name, "interface"), entry.interface) for name, entry in cluster.instances.items()),
        (("ipvs", "sync", "interface"), cluster.ipvs.sync.interface if cluster.ipvs.sync is not None else None),
    ]
    for path, interface in given:
        if interface == "lo":
            yield Remark(path, "directors cannot reach each other by lo", "name the interface between them")


def _sync_groups(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    groups: dict[str, list[str]] = {}
    for name, entry in cluster.instances.items():
        if entry.sync_group is not None:
            groups.setdefault(entry.sync_group, []).append(name)
    for group, names in groups.items():
        if len(names) == 1:
            path: Path = ("instances", names[0], "sync_group")
            yield Remark(path, f"{names[0]} is alone in {group}", "name the same group in another", warning=True)
        homes = {name: home for name in names if (home := cluster.instances[name].home) is not None}
        for name in [name for name in homes if homes[name] != next(iter(homes.values()))]:
            wrong = f"{next(iter(homes))} of the same sync group has another home"
            yield Remark(("instances", name, "home"), wrong, "they have one master, so choose one home")


def _unicast(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for version in (4, 6):
        of_version = [n for n, vip in cluster.vips.items() if (":" in vip.address) == (version == IPV6)]
        if not of_version or (cluster.vrrp.mode == "multicast" and version == IPV6):
            continue
        for name, entry in cluster.directors.items():
            if address_of(entry, version) is None and (cluster.vrrp.mode == "unicast" or version == IPV4):
                wrong = f"{name} has no IPv{version} address for the elections of {', '.join(of_version)}"
                yield Remark(("directors", name), wrong, "give it one: `{address: ..., address6: ...}`")


def _routes(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for name, vips in _members(cluster).items():
        entry = cluster.instances.get(name, InstanceEntry())
        family = family_of(cluster.vips[vips[0]].address)
        for place, route in enumerate(entry.routes):
            path: Path = ("instances", name, "routes", place)
            if route.via is None and route.interface is None:
                yield Remark(path, "the route leads nowhere", "add `via`, `interface` or both")
            if any(
                family_of(text) != family
                for text in (route.to, route.via, route.source)
                if text not in (None, "default")
            ):
                yield Remark(path, f"it is not of the family of {name}", "write all its addresses in that family")
        for place, rule in enumerate(entry.rules):
            path = ("instances", name, "rules", place)
            if rule.source is None and rule.to is None:
                yield Remark(path, "the rule is for every packet", "add `source`, `to` or both")


def _single_director(_: Cluster, declared: Declared) -> Iterator[Remark]:
    if len(declared.directors) == 1:
        yield Remark(("directors",), "there is one director: nobody can take its VIPs over", "add another one", True)


def _members(cluster: Cluster) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for vip in cluster.vips:
        found.setdefault(cluster.instance_of(vip), []).append(vip)
    return found


_VERSION_2: Final = 2
_VERSION_3: Final = 3

CHECKS: Final = (
    _known,
    _one_family,
    _advertised,
    _numbers,
    _enough_numbers,
    _versions,
    _preemption,
    _loopback,
    _sync_groups,
    _unicast,
    _routes,
    _single_director,
)
