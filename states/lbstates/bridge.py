"""Between two desired states: what leaves stays a while and takes no new connections, so that those it has can end. Pure.

The bridge is the new state united with what leaves: destinations and services drained, VIPs still held, answers still on
the real servers. Hosts see an ordinary state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec.structs import replace

from . import words
from .balancing import VirtualService
from .desired import Answer, DirectorState, RealServerState, RoleState
from .vrrp import VrrpInstance


def leaving(old: DirectorState, new: DirectorState) -> tuple[str, ...]:
    """Name the destinations that are in the old state and not in the new one, by identity."""
    stays = {service.identity_of(it) for service in new.services for it in service.destinations}
    return tuple(
        identity
        for service in old.services
        for it in service.destinations
        if (identity := service.identity_of(it)) not in stays
    )


def bridge(old: Mapping[str, RoleState], new: Mapping[str, RoleState]) -> dict[str, RoleState] | None:
    """Unite two states, both by role; None when no destination leaves.

    Raises `ValueError` when they cannot be in force at the same time, such as two VIPs of one VRID, or a service that
    leaves and would go on taking the packets of a new one.
    """
    was, will = old.get("director"), new.get("director")
    if not isinstance(was, DirectorState) or not isinstance(will, DirectorState) or not leaving(was, will):
        return None
    _refuse_shadows(was, will)
    united: dict[str, RoleState] = {**new, "director": _directors(was, will)}
    behind, ahead = old.get("realserver"), new.get("realserver")
    if isinstance(behind, RealServerState) and isinstance(ahead, RealServerState):
        united["realserver"] = _real_servers(behind, ahead, will.hosts.keys() - was.hosts.keys())
    return united


# --- directors -------------------------------------------------------------------------------------------------------


def _directors(old: DirectorState, new: DirectorState) -> DirectorState:
    before = {service.key: service for service in old.services}
    kept = {service.key for service in new.services}
    services = [_with_leaving(service, before.get(service.key)) for service in new.services]
    services += [_leaving_service(it) for it in old.services if it.key not in kept]
    instances = (*_instances(old, new), *_leaving_instances(old, new))
    return replace(new, instances=instances, services=tuple(services))


def _refuse_shadows(old: DirectorState, new: DirectorState) -> None:
    stays = {service.key for service in new.services}
    for gone in (service for service in old.services if service.key not in stays):
        for service in new.services:
            if _shadows(gone, service):
                raise ValueError(f"as long as {gone.identity} is there, it takes packets of {service.identity}")


def _shadows(old: VirtualService, new: VirtualService) -> bool:
    """Whether the kernel gives packets of `new` to `old` where both are: marks go before ports, a port before all ports."""
    if not old.vip or (old.vip, old.protocol) != (new.vip, new.protocol):
        return False
    if not old.mark:
        return not new.mark and not new.port
    return any(one.start < other.stop and other.start < one.stop for one in _ports(old) for other in _ports(new))


def _ports(service: VirtualService) -> list[range]:
    if service.mark:
        return [words.port_range(ports) for ports in service.marked_ports]
    return [range(service.port, service.port + 1) if service.port else range(words.MAX_PORT + 1)]


def _leaving_service(service: VirtualService) -> VirtualService:
    """Drain all of it; its sorry server, too, which would come in where nobody else takes connections."""
    pool, sorry = service.pool, service.pool.sorry
    if sorry is not None:
        pool = replace(pool, sorry=replace(sorry, drained=True))
    return replace(service, destinations=tuple(replace(it, drained=True) for it in service.destinations), pool=pool)


def _with_leaving(service: VirtualService, before: VirtualService | None) -> VirtualService:
    if before is None:
        return service
    stays = {(it.address, it.port) for it in service.destinations}
    gone = tuple(replace(it, drained=True) for it in before.destinations if (it.address, it.port) not in stays)
    return replace(service, destinations=(*service.destinations, *gone))


def _instances(old: DirectorState, new: DirectorState) -> Iterator[VrrpInstance]:
    """Yield the new ones, with the VIPs that leave them and go nowhere else."""
    before = {instance.name: instance for instance in old.instances}
    held = {vip.bare for instance in new.instances for vip in instance.vips}
    for instance in new.instances:
        earlier = before.get(instance.name)
        gone = [vip for vip in earlier.vips if vip.bare not in held] if earlier else []
        if earlier is not None and earlier.family != instance.family:
            gone = []
        yield replace(instance, vips=(*instance.vips, *gone))


def _leaving_instances(old: DirectorState, new: DirectorState) -> Iterator[VrrpInstance]:
    """Yield those that are no more, if the same directors can go on holding them."""
    names = {instance.name for instance in new.instances}
    held = {vip.bare for instance in new.instances for vip in instance.vips}
    for instance in old.instances:
        vips = tuple(vip for vip in instance.vips if vip.bare not in held)
        if instance.name not in names and vips and instance.priorities.keys() == new.hosts.keys():
            yield replace(instance, vips=vips)


# --- real servers ----------------------------------------------------------------------------------------------------


def _real_servers(old: RealServerState, new: RealServerState, promoted: Collection[str]) -> RealServerState:
    """Keep answering what leaves. A host that becomes a director, or has another address now, has left."""
    stays = {
        name: host
        for name, host in old.hosts.items()
        if (new.hosts[name] == host if name in new.hosts else name not in promoted)
    }
    hosts = stays | new.hosts
    answers = (*new.answers, *_leaving_answers(old.answers, new.answers, stays))
    return replace(new, hosts=hosts, answers=answers)


def _leaving_answers(old: Sequence[Answer], new: Sequence[Answer], hosts: Collection[str]) -> Iterator[Answer]:
    said = {(_what(answer), host, port) for answer in new for host, port in answer.hosts.items()}
    for answer in old:
        gone = {
            host: port
            for host, port in answer.hosts.items()
            if (_what(answer), host, port) not in said and host in hosts
        }
        if gone:
            yield replace(answer, hosts=gone)


def _what(answer: Answer) -> tuple[object, ...]:
    return (answer.vip, answer.protocol, answer.ports, answer.forwarding, answer.tunnel)
