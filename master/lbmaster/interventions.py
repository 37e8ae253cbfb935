"""What an operator asks for -> the interventions that are in force then. Pure; whether it is wise is decided elsewhere.

`cluster` is the file in force. Everything here raises `RequestError` that says what is there instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from lbstates.clusterfile import Cluster
from lbstates.clusterfile.reading import bare, destinations, single_ports
from lbstates.interventions import Drain, Evacuation, Interventions, Maintenance, Switchover

from .errors import RequestError

_SHOWN: Final = 12
"""So many names are listed of what there is."""


class Target(msgspec.Struct, frozen=True):
    """A real server, or its part in the services of a VIP (by name, as it is in the file), or of one port of it."""

    host: str
    vip: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.host, self.vip, self.port) if part is not None)


class Decision(msgspec.Struct, frozen=True):
    """Who decides, why, and when (Unix time)."""

    by: str
    reason: str
    since: float


# --- what is meant ---------------------------------------------------------------------------------------------------


def vip_named(cluster: Cluster, text: str) -> str:
    """Name the VIP that somebody means by its name or its address."""
    if text in cluster.vips:
        return text
    for name, entry in cluster.vips.items():
        if text.lower() in (entry.address, bare(entry.address)):
            return name
    known = (f"{name} ({bare(entry.address)})" for name, entry in cluster.vips.items())
    raise RequestError("unknown_vip", f"there is no VIP {text} in {cluster.cluster}; there are: {_listed(known)}")


def instances_with(cluster: Cluster, vip: str) -> tuple[str, ...]:
    """Name the VRRP instance of a VIP first, then those of its sync group: they have one master."""
    first = cluster.instance_of(vip)
    group = cluster.instances[first].sync_group if first in cluster.instances else None
    used = dict.fromkeys(cluster.instance_of(name) for name in cluster.vips)
    others = (it for it in used if it != first and it in cluster.instances and group is not None)
    return (first, *(it for it in others if cluster.instances[it].sync_group == group))


def target_named(cluster: Cluster, host: str, vip: str | None, port: int | None) -> Target:
    """Say what is meant, in the names of the file; a drain may be left of a service that is no more."""
    if host not in cluster.real_servers:
        raise _no_host(cluster, "real server", host, cluster.real_servers)
    return Target(host, None if vip is None else vip_named(cluster, vip), port)


def target_of(cluster: Cluster, host: str, vip: str | None, port: int | None) -> Target:
    """Say what is to be drained, as `target_named`; there has to be something."""
    found = target_named(cluster, host, vip, port)
    if not any(_concerns(found, cluster, place) for place in range(len(cluster.services))):
        served = [it.vip for it in cluster.services if host in destinations(cluster, it) and it.vip is not None]
        raise RequestError(
            "unknown_service",
            f"{host} has no part in a service at {found}; it serves: {_listed(dict.fromkeys(served))}",
        )
    return found


def _concerns(target: Target, cluster: Cluster, place: int) -> bool:
    service = cluster.services[place]
    return (
        target.host in destinations(cluster, service)
        and target.vip in (None, service.vip)
        and (target.port is None or target.port in single_ports(service))
    )


def director_named(cluster: Cluster, name: str) -> str:
    """Return the name of a director that there is."""
    if name not in cluster.directors:
        raise _no_host(cluster, "director", name, cluster.directors)
    return name


def host_named(cluster: Cluster, name: str) -> str:
    """Return the name of a host that there is."""
    hosts = {**cluster.directors, **cluster.real_servers}
    if name not in hosts:
        raise _no_host(cluster, "host", name, hosts)
    return name


def _no_host(cluster: Cluster, what: str, name: str, known: Iterable[str]) -> RequestError:
    return RequestError("unknown_host", f"there is no {what} {name} in {cluster.cluster}; there are: {_listed(known)}")


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN} others" if len(found) > _SHOWN else ""
    return (", ".join(found[:_SHOWN]) or "none") + more


# --- drains ----------------------------------------------------------------------------------------------------------


def drain(now: Interventions, target: Target, deadline: float, decision: Decision) -> Interventions:
    """Drain it; what is drained already gets the new deadline, counted from now, and the new reason if there is one."""
    before = next((it for it in now.drains if _is(it, target)), None)
    made = Drain(
        host=target.host,
        vip=target.vip,
        port=target.port,
        deadline=deadline,
        by=decision.by,
        reason=decision.reason or (before.reason if before else ""),
        since=decision.since,
    )
    return _with(now, drains=(*(it for it in now.drains if it is not before), made))


def undrain(now: Interventions, target: Target) -> Interventions:
    """End the drain of exactly this; for a whole host, whatever is drained of it."""
    if any(it.host == target.host for it in now.maintenance):
        raise RequestError(
            "maintenance", f"{target.host} is in maintenance; end that: lbmaster maintenance {target.host} off"
        )
    whole = target.vip is None and target.port is None
    ended = [it for it in now.drains if _is(it, target) or (whole and it.host == target.host)]
    if not ended:
        drained = _listed(str(Target(it.host, it.vip, it.port)) for it in now.drains)
        raise RequestError("not_drained", f"{target} is not drained; drained are: {drained}")
    return _with(now, drains=tuple(it for it in now.drains if it not in ended))


def _is(drain: Drain, target: Target) -> bool:
    return (drain.host, drain.vip, drain.port) == (target.host, target.vip, target.port)


# --- who holds what --------------------------------------------------------------------------------------------------


def switch_over(now: Interventions, instances: Collection[str], director: str, decision: Decision) -> Interventions:
    """Let a director hold instances that have one master, whatever was decided about them before."""
    kept = tuple(it for it in now.switchovers if it.instance not in instances)
    first = next(iter(instances))
    made = Switchover(instance=first, director=director, by=decision.by, reason=decision.reason, since=decision.since)
    return _with(now, switchovers=(*kept, made))


def switch_back(now: Interventions, instances: Collection[str]) -> Interventions:
    """Let the priorities of the file count again."""
    if now.preferred(instances) is None:
        raise RequestError("not_switched", f"{', '.join(instances)}: no switchover is in force")
    return _with(now, switchovers=tuple(it for it in now.switchovers if it.instance not in instances))


def switch_as_before(
    now: Interventions, instances: Collection[str], director: str, decision: Decision, before: Interventions
) -> Interventions:
    """Let what was decided about these instances before count again, unless somebody has decided otherwise meanwhile."""
    last = next((it for it in reversed(now.switchovers) if it.instance in instances), None)
    if last is None or (last.director, last.since) != (director, decision.since):
        otherwise = f"to let {last.director} hold {last.instance} (by {last.by})" if last else "to end it"
        raise RequestError("overtaken", f"somebody has decided meanwhile {otherwise}, and that stays")
    kept = tuple(it for it in now.switchovers if it.instance not in instances)
    again = tuple(it for it in before.switchovers if it.instance in instances)
    return _with(now, switchovers=(*kept, *again))


def evacuate(now: Interventions, director: str, decision: Decision) -> Interventions:
    """Let a director hold nothing, as long as another one can."""
    kept = tuple(it for it in now.evacuations if it.director != director)
    made = Evacuation(director=director, by=decision.by, reason=decision.reason, since=decision.since)
    return _with(now, evacuations=(*kept, made))


def come_back(now: Interventions, director: str) -> Interventions:
    """End an evacuation."""
    if all(it.director != director for it in now.evacuations):
        raise RequestError("not_evacuated", f"{director} is not evacuated")
    return _with(now, evacuations=tuple(it for it in now.evacuations if it.director != director))


# --- maintenance -----------------------------------------------------------------------------------------------------


def begin_maintenance(now: Interventions, host: str, decision: Decision) -> Interventions:
    """Begin it, or replace who and why."""
    kept = tuple(it for it in now.maintenance if it.host != host)
    made = Maintenance(host=host, by=decision.by, reason=decision.reason, since=decision.since)
    return _with(now, maintenance=(*kept, made))


def end_maintenance(now: Interventions, host: str) -> Interventions:
    """End it; a drain or an evacuation of its own stays."""
    if all(it.host != host for it in now.maintenance):
        raise RequestError("not_in_maintenance", f"{host} is not in maintenance")
    return _with(now, maintenance=tuple(it for it in now.maintenance if it.host != host))


def _with(now: Interventions, **changes: object) -> Interventions:
    return msgspec.structs.replace(now, **changes)
