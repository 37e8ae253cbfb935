"""What a director shall have, so that it balances and stands for election."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from . import keepalived_adjustments, keepalived_conf, probe_path
from .balancing import IpvsOptions, ServiceDestination, TimeoutOptions, VirtualService
from .desired import DirectorState
from .errors import CannotDerive
from .facts import HostFacts, existing, interface_of
from .kinds.destination import Destination
from .kinds.keepalived import Keepalived
from .kinds.kind import Resource
from .kinds.mark import Mark
from .kinds.module import Module
from .kinds.service import Family, Service
from .kinds.sync_daemon import SyncDaemon, SyncRole
from .kinds.sysctl import Sysctl
from .kinds.timeouts import Timeouts

_VS: Final = "net/ipv4/vs"
# expire_nodest_conn: a destination that was removed must not leave its clients hanging until their connections time out.
# conn_reuse_mode 3: a director that sees only one direction (direct routing) keeps closed connections in FIN_WAIT for two
# minutes; with the default, 1, a client that uses a port again within that time is not scheduled but sent where it was
# before, so that shares drift and a new real server gets less (kernel: Documentation/networking/ipvs-sysctl.rst).
_ALWAYS: Final = {"expire_nodest_conn": "1", "conn_reuse_mode": "3"}
# Masquerading routes. (A host that forwards IPv6 takes no more default routes from router advertisements, unless its
# accept_ra is 2; that is not ours to choose.)
_FORWARDING: Final[dict[Family, str]] = {"ipv4": "net/ipv4/ip_forward", "ipv6": "net/ipv6/conf/all/forwarding"}


def resources(state: DirectorState, host: str, facts: HostFacts) -> tuple[Resource, ...]:
    """Derive them for `host`, one of the state's. Raises `CannotDerive`."""
    services = [_service(service) for service in state.services]
    destinations = [found for service in state.services for found in _destinations(service, facts.weights)]
    # A director without services runs VRRP only, perhaps on a kernel without IPVS; unless it shall have an empty table.
    balancing = bool(state.services) or state.exclusive or state.ipvs != IpvsOptions()
    return (
        *(_modules(state) if balancing else ()),
        *(_sysctls(state) if balancing else ()),
        *_marks(state, host, facts),
        *services,
        *_timeouts(state.ipvs.timeouts),
        *destinations,
        *probe_path.resources(state, host, facts),
        *_sync_daemons(state.ipvs, host, state, facts),
        *keepalived_adjustments.priorities(state, host, facts),
        Keepalived(config=keepalived_conf.render(state, host, facts), running=True),
    )


def _modules(state: DirectorState) -> Iterator[Module]:
    yield Module("ip_vs")
    schedulers = {service.scheduler for service in state.services}
    if probe_path.ways(state):
        schedulers.add(probe_path.SCHEDULER)
    yield from (Module(f"ip_vs_{name}") for name in sorted(schedulers))
    engines = {it.persistence.engine for it in state.services if it.persistence and it.persistence.engine}
    yield from (Module(f"ip_vs_pe_{name}") for name in sorted(engines))


def _sysctls(state: DirectorState) -> Iterator[Sysctl]:
    values = dict(_ALWAYS)
    if any(service.persistence is not None for service in state.services):
        # Otherwise clients whom a template binds to a real server of weight 0 go on coming to it.
        values["expire_quiescent_template"] = "1"
    methods = {(it.family, destination.forwarding) for it in state.services for destination in it.all_destinations}
    if state.ipvs.backup_only:
        # While the backup daemon runs nothing is balanced here: what the master sends is for the real server on this
        # host. Wrapped packets are none that IPVS knows; it must not send them out again either.
        values["backup_only"] = "1"
        if any(method == "tunnel" for _, method in methods):
            values["ignore_tunneled"] = "1"
    values |= state.ipvs.sysctls  # what the cluster file says itself comes last, and wins
    yield from (Sysctl(f"{_VS}/{name}", value) for name, value in values.items())
    for family, key in _FORWARDING.items():
        if (family, "masquerade") in methods:
            yield Sysctl(key, "1")


def _marks(state: DirectorState, host: str, facts: HostFacts) -> Iterator[Mark]:
    for service in state.services:
        if service.marked_ports and service.protocol is not None:
            if facts.no_packet_rules:
                place = f"{host}: the firewall mark of {service.protocol} {service.vip}"
                raise CannotDerive(place, "packets cannot be marked here", facts.no_packet_rules)
            yield Mark(service.protocol, service.vip, service.marked_ports, service.mark, service.family)


def _service(service: VirtualService) -> Service:
    by_mark = bool(service.mark)
    return Service(
        protocol=None if by_mark else service.protocol,
        address="" if by_mark else service.vip,
        port=0 if by_mark else service.port,
        scheduler=service.scheduler,
        flags=service.flags,
        persistence=service.persistence,
        one_packet=service.one_packet,
        mark=service.mark,
        mark_family=service.family if by_mark else "ipv4",
    )


def _destinations(service: VirtualService, weights: Mapping[str, int]) -> Iterator[Destination]:
    """With the weight that checks give them, or else the declared one; who is drained gets no connections in any case."""
    for destination in service.destinations:
        declared = 0 if destination.drained else destination.weight
        wanted = declared and weights.get(service.identity_of(destination), declared)
        yield _destination(service.identity, destination, wanted)
    if (sorry := service.pool.sorry) is not None:
        wanted = 0 if sorry.drained else weights.get(service.identity_of(sorry), 0)
        yield _destination(service.identity, sorry, wanted)


def _destination(service: str, destination: ServiceDestination, weight: int) -> Destination:
    # Also of the director itself: what is addressed to this host the kernel delivers here, whatever the method is.
    return Destination(
        service=service,
        address=destination.address,
        port=destination.port,
        forwarding=destination.forwarding,
        weight=weight,
        upper=destination.upper,
        lower=destination.lower,
        tunnel=destination.tunnel,
    )


def _timeouts(options: TimeoutOptions) -> Iterator[Timeouts]:
    if options != TimeoutOptions():
        yield Timeouts(options.tcp, options.tcpfin, options.udp)


def _sync_daemons(options: IpvsOptions, host: str, state: DirectorState, facts: HostFacts) -> Iterator[SyncDaemon]:
    sync = options.sync
    if sync is None:
        return
    if sync.interface is None:
        interface = interface_of(host, state.hosts[host], facts)
    else:
        interface = existing(host, sync.interface, "`interface` under `sync`", facts)
    for role in _sync_roles(options, facts):
        yield SyncDaemon(role, sync.id, interface, sync.maximum_length, sync.group, sync.port, sync.ttl)


def _sync_roles(options: IpvsOptions, facts: HostFacts) -> tuple[SyncRole, ...]:
    """Both, so that nothing has to change at a failover; with `backup_only` the kernel does not balance beside a backup."""
    if not options.backup_only:
        return ("master", "backup")
    return ("master",) if facts.masters else ("backup",)
