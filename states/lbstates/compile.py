"""Cluster file -> the desired state of each role.

What the file leaves open (who is whose home, VRIDs, firewall marks) is chosen here, and kept from the generation before
where the file still allows it: a push shall move nothing that its author did not mean to move.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeVar
from zlib import crc32

import msgspec

from . import placement
from .balancing import IpvsOptions, ServiceDestination, SyncOptions, TimeoutOptions, VirtualService
from .clusterfile.reading import (
    IPV6,
    address_of,
    bare,
    destinations,
    own_ports,
    pool_of,
    ports,
    single_ports,
    version_of,
)
from .desired import Answer, DirectorState, Host, RealServerState, Role, RoleState
from .interventions import NONE, Interventions
from .kinds.destination import Forwarding
from .kinds.service import CLIENT_PREFIX, Family, Persistence
from .vrrp import Garp, Route, Rule, Vip, VrrpInstance
from .watching import compiled_check, compiled_pool, tunnel_of
from .words import flag_of, port_range

if TYPE_CHECKING:  # the model brings pydantic with it, which compiling does not need
    from .clusterfile.model import Cluster
    from .clusterfile.sections import InstanceEntry
    from .clusterfile.services import DestinationEntry, ServiceEntry

_FIRST_MARK: Final = 0x4C420000
"""Marks of our own choice begin here ("LB"), far from the small numbers that people write."""
_KERNEL_TIMEOUTS: Final = {"tcp": 900, "tcpfin": 120, "udp": 300}
"""What IPVS begins with, in seconds (kernel: net/netfilter/ipvs/ip_vs_proto_{tcp,udp}.c)."""


def compile_cluster(
    cluster: Cluster, before: DirectorState | None = None, interventions: Interventions = NONE
) -> dict[Role, RoleState]:
    """Compile a cluster file that was found correct; `before` is what the directors have now.

    What `interventions` say of hosts, VIPs and instances that the file does not have is passed over.
    """
    return {"realserver": _real_servers(cluster), "director": _directors(cluster, before, interventions)}


# --- real servers ----------------------------------------------------------------------------------------------------


def _real_servers(cluster: Cluster) -> RealServerState:
    return RealServerState(
        cluster.cluster,
        hosts={name: Host(entry.address, entry.address6) for name, entry in cluster.real_servers.items()},
        answers=tuple(answer for service in cluster.services for answer in _answers(cluster, service)),
        directors=tuple(address for name in cluster.directors for address in _director(cluster, name).addresses),
        backup_only=cluster.ipvs.backup_only,
        drift=cluster.drift,
    )


def _answers(cluster: Cluster, service: ServiceEntry) -> Iterator[Answer]:
    """Yield one answer per forwarding method, and one more per further port that a real server has of its own.

    Nothing for packets that somebody else marks: nobody knows their VIP.
    """
    if service.vip is None:
        return
    vip = bare(cluster.vips[service.vip].address)
    hosts: dict[tuple[Forwarding, int], dict[str, int]] = {}
    for name, entry in destinations(cluster, service).items():
        for place, port in enumerate(own_ports(entry)):
            hosts.setdefault((entry.forwarding or service.forwarding, place), {})[name] = port
    sorry = pool_of(cluster, service).sorry_server
    if sorry is not None and sorry.real_server is not None:
        hosts.setdefault((sorry.forwarding or service.forwarding, 0), {}).setdefault(sorry.real_server, sorry.port or 0)
    for (forwarding, _), listening in hosts.items():
        yield Answer(vip, service.protocol, ports(service), forwarding, listening, tunnel_of(service, forwarding))


# --- directors -------------------------------------------------------------------------------------------------------


def _directors(cluster: Cluster, before: DirectorState | None, interventions: Interventions) -> DirectorState:
    return DirectorState(
        cluster.cluster,
        hosts={name: _director(cluster, name) for name in cluster.directors},
        instances=_instances(cluster, before, interventions),
        services=tuple(_services(cluster, before, interventions)),
        mode=cluster.vrrp.mode,
        garp=Garp(**cluster.vrrp.garp.model_dump()),
        ipvs=_ipvs(cluster),
        drift=cluster.drift,
        exclusive=cluster.exclusive,
    )


def _director(cluster: Cluster, name: str) -> Host:
    entry = cluster.directors[name]
    return Host(entry.address, entry.address6, entry.interface or cluster.vrrp.interface)


def _ipvs(cluster: Cluster) -> IpvsOptions:
    options = cluster.ipvs
    given = options.timeouts.model_dump(exclude_none=True)
    sync = None
    if options.sync is not None:
        plain = options.sync.model_dump(exclude={"id"})
        sync = SyncOptions(id=_sync_id(cluster) if options.sync.id is None else options.sync.id, **plain)
    return IpvsOptions(
        timeouts=TimeoutOptions(**(_KERNEL_TIMEOUTS | given)) if given else TimeoutOptions(),
        sync=sync,
        sysctls=dict(options.sysctls),
        backup_only=options.backup_only,
    )


def _sync_id(cluster: Cluster) -> int:
    return crc32(cluster.cluster.encode()) % 255 + 1


# --- VRRP ------------------------------------------------------------------------------------------------------------


def _instances(
    cluster: Cluster, before: DirectorState | None, interventions: Interventions
) -> tuple[VrrpInstance, ...]:
    from .clusterfile.sections import InstanceEntry as Default  # noqa: PLC0415 - whoever has a cluster has loaded it

    members: dict[str, list[str]] = {}
    for vip in cluster.vips:
        members.setdefault(cluster.instance_of(vip), []).append(vip)
    entries = {name: cluster.instances.get(name) or Default() for name in members}
    earlier = {instance.name: instance for instance in before.instances} if before else {}
    numbers = _numbers(cluster, members, entries, earlier)
    rankings = _rankings(cluster, members, entries, earlier)
    found = {
        name: _instance(
            cluster,
            name,
            _advertised_first(cluster, vips, earlier.get(name)),
            entries[name],
            numbers[name],
            placement.priorities(rankings[name]),
        )
        for name, vips in members.items()
    }
    adjusted = {it.name: it for group in _together(entries) for it in _adjusted(found, group, interventions)}
    return tuple(adjusted[name] for name in members)


def _advertised_first(cluster: Cluster, vips: list[str], earlier: VrrpInstance | None) -> list[str]:
    """Let the VIP that is advertised now stay so, whatever comes or goes before it in the file."""
    now = "" if earlier is None else earlier.vips[0].bare
    return sorted(vips, key=lambda vip: bare(cluster.vips[vip].address) != now)


def _numbers(
    cluster: Cluster,
    members: Mapping[str, list[str]],
    entries: Mapping[str, InstanceEntry],
    earlier: Mapping[str, VrrpInstance],
) -> dict[str, int]:
    wanted = [
        (name, bare(cluster.vips[vips[0]].address), entries[name].virtual_router_id) for name, vips in members.items()
    ]
    reserved = {number for text in cluster.vrrp.reserved_virtual_router_ids for number in port_range(text)}
    return placement.virtual_router_ids(
        wanted, reserved, {name: instance.virtual_router_id for name, instance in earlier.items()}
    )


def _rankings(
    cluster: Cluster,
    members: Mapping[str, list[str]],
    entries: Mapping[str, InstanceEntry],
    earlier: Mapping[str, VrrpInstance],
) -> dict[str, tuple[str, ...]]:
    """Place every instance, those of one sync group as one; return the directors of each, home first."""
    groups = _together(entries)
    units = [
        placement.Unit(
            together[0],
            sum(len(members[name]) for name in together),
            next((home for name in together if (home := entries[name].home) is not None), None),
        )
        for together in groups
    ]
    placed = placement.place(
        units,
        {name: entry.capacity for name, entry in cluster.directors.items()},
        {name: _ranking(instance) for name, instance in earlier.items()},
    )
    return {name: placed[together[0]] for together in groups for name in together}


def _together(entries: Mapping[str, InstanceEntry]) -> tuple[tuple[str, ...], ...]:
    """Group the instances that have one master: those of one sync group."""
    groups: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, entry in entries.items():
        key = ("alone", name) if entry.sync_group is None else ("group", entry.sync_group)
        groups[key] = (*groups.get(key, ()), name)
    return tuple(groups.values())


def _adjusted(
    instances: Mapping[str, VrrpInstance], group: Collection[str], interventions: Interventions
) -> Iterator[VrrpInstance]:
    """Adjust the priorities of instances that have one master; they have one ranking."""
    # Where a higher priority alone makes nobody take over (soon), whoever is master has to see that it shall not be.
    stand_back = not all(instances[name].takes_over_at_once for name in group)
    preferred, away = interventions.preferred(group), interventions.away
    for name in group:
        wanted = placement.adjustments(instances[name].priorities, preferred, away, stand_back=stand_back)
        yield msgspec.structs.replace(instances[name], adjustments=wanted)


def _ranking(instance: VrrpInstance) -> tuple[str, ...]:
    return tuple(sorted(instance.priorities, key=lambda name: -instance.priorities[name]))


def _instance(
    cluster: Cluster, name: str, vips: list[str], entry: InstanceEntry, number: int, priorities: dict[str, int]
) -> VrrpInstance:
    common = cluster.vrrp
    auth_pass = common.auth_pass if entry.auth_pass is None else entry.auth_pass
    version = entry.version or common.version or (3 if auth_pass is None else 2)
    return VrrpInstance(
        name=name,
        virtual_router_id=number,
        vips=tuple(Vip(cluster.vips[vip].address, cluster.vips[vip].interface) for vip in vips),
        priorities={director: priorities[director] for director in cluster.directors},
        advert_interval=float(_either(entry.advert_interval, common.advert_interval)),
        version=version,
        auth_pass=auth_pass,
        interface=entry.interface,
        preempt=_either(entry.preempt, common.preempt),
        preempt_delay=_either(entry.preempt_delay, common.preempt_delay),
        track_interfaces=_either(entry.track_interfaces, common.track_interfaces),
        sync_group=entry.sync_group,
        routes=tuple(Route(**route.model_dump()) for route in entry.routes),
        rules=tuple(Rule(**rule.model_dump()) for rule in entry.rules),
        advertise_first=True,
    )


_Value = TypeVar("_Value")


def _either(own: _Value | None, common: _Value) -> _Value:
    return common if own is None else own


# --- services --------------------------------------------------------------------------------------------------------


def _services(cluster: Cluster, before: DirectorState | None, interventions: Interventions) -> Iterator[VirtualService]:
    marks = _marks(cluster, before)
    for place, service in enumerate(cluster.services):
        found = tuple(
            (_destination(cluster, service, name, entry), own)
            for name, entry in destinations(cluster, service).items()
            for own in own_ports(entry)
        )
        for port in (0,) if place in marks else single_ports(service):
            # A service by firewall mark has all its ports in one, and is drained as a whole.
            named = single_ports(service) if place in marks else (port,)
            drained = _drained(service, named, found, interventions)
            gone = _sorry_drained(cluster, service, named, interventions)
            check, pool = compiled_check(cluster, service, port), compiled_pool(cluster, service, port, drained=gone)
            yield msgspec.structs.replace(
                _service(cluster, service, port, marks.get(place, 0), drained), check=check, pool=pool
            )


def _drained(
    service: ServiceEntry,
    ports: Collection[int],
    found: tuple[tuple[ServiceDestination, int], ...],
    interventions: Interventions,
) -> tuple[tuple[ServiceDestination, int], ...]:
    """Note which destinations take no new connections at these ports of a service."""
    return tuple(
        (msgspec.structs.replace(it, drained=interventions.drained(it.host, service.vip, ports)), own)
        for it, own in found
    )


def _sorry_drained(
    cluster: Cluster, service: ServiceEntry, ports: Collection[int], interventions: Interventions
) -> bool:
    sorry = pool_of(cluster, service).sorry_server
    if sorry is None or sorry.real_server is None:
        return False
    return interventions.drained(sorry.real_server, service.vip, ports)


def _service(
    cluster: Cluster, service: ServiceEntry, port: int, mark: int, found: tuple[tuple[ServiceDestination, int], ...]
) -> VirtualService:
    family: Family = "ipv6" if version_of(cluster, service) == IPV6 else "ipv4"
    # Without ports somebody else marks the packets: nothing has to be known of them.
    marked = ports(service) if mark else ()
    vip = bare(cluster.vips[service.vip].address) if service.vip is not None and (marked or not mark) else ""
    persistence = service.persistence
    return VirtualService(
        protocol=service.protocol if vip else None,
        vip=vip,
        port=port,
        scheduler=service.scheduler,
        destinations=tuple(_at(destination, own or port) for destination, own in found),
        flags=tuple(sorted({flag_of(service.scheduler, flag) for flag in service.scheduler_flags})),
        one_packet=service.one_packet,
        persistence=None
        if persistence is None
        else Persistence(persistence.timeout, _either(persistence.netmask, CLIENT_PREFIX[family]), persistence.engine),
        mark=mark,
        marked_ports=marked,
        mark_family=family if mark else "ipv4",
    )


def _at(destination: ServiceDestination, port: int) -> ServiceDestination:
    return msgspec.structs.replace(destination, port=port)


def _destination(cluster: Cluster, service: ServiceEntry, name: str, entry: DestinationEntry) -> ServiceDestination:
    """Describe a real server's part in a service, but for its port."""
    server = cluster.real_servers[name]
    version = version_of(cluster, service)
    forwarding = entry.forwarding or service.forwarding
    # A tunnel may carry one family in the other; the checks have seen to it that nothing else has to.
    address = address_of(server, version) or server.address
    lower, upper = entry.lower_threshold, entry.upper_threshold
    return ServiceDestination(address, 0, entry.weight, forwarding, upper, lower, tunnel_of(service, forwarding), name)


def _marks(cluster: Cluster, before: DirectorState | None) -> dict[int, int]:
    """Give every service by firewall mark its number, by its place in the file; a number once chosen stays."""
    chosen = {
        place: service.firewall_mark
        for place, service in enumerate(cluster.services)
        if isinstance(service.firewall_mark, int)
    }
    earlier = {(it.vip, it.protocol, it.marked_ports): it.mark for it in before.services if it.mark} if before else {}
    for place, service in enumerate(cluster.services):
        if service.firewall_mark == "auto" and service.vip is not None:
            key = (bare(cluster.vips[service.vip].address), service.protocol, ports(service))
            mark = earlier.get(key, 0)
            if mark >= _FIRST_MARK and mark not in chosen.values():
                chosen[place] = mark
    taken = {*chosen.values(), *earlier.values()}
    for place, service in enumerate(cluster.services):
        if service.firewall_mark == "auto" and place not in chosen:
            mark = _FIRST_MARK
            while mark in taken:
                mark += 1
            taken.add(mark)
            chosen[place] = mark
    return chosen
