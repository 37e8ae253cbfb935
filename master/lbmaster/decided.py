"""What operators have decided, and how far it has come: connections that are left, and VIPs that are still held. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from lbstates.balancing import VirtualService
from lbstates.desired import DirectorState
from lbstates.interventions import Drain, Interventions, Switchover
from lbstates.words import port_range

from .interventions import Target
from .view import View


class Scene(msgspec.Struct, frozen=True):
    """Where decisions are judged: what the directors were told, the VIPs' bare addresses by name, and what is seen.

    `masters`: VRRP instance -> who says that it is MASTER; `now` is Unix time. `spared` hosts may be away.
    """

    state: DirectorState
    vips: Mapping[str, str]
    masters: Mapping[str, tuple[str, ...]]
    view: View
    now: float
    spared: frozenset[str] = frozenset()

    def tells(self, director: str) -> bool:
        """Whether a director has said how many connections it has. One that has just started has not."""
        return self.view.is_there(director) and self.view.minions[director].counted.told

    def misses(self, director: str) -> bool:
        """Whether it does not, although it should."""
        return director not in self.spared and not self.tells(director)


def decided(interventions: Interventions, scene: Scene) -> list[dict[str, Any]]:
    """Describe each of them as the control protocol does: who, why, since when, and what is left to do (`done`)."""
    return [
        *(_drain(it, scene) for it in interventions.drains),
        *(
            _entry("maintenance", it.host, it) | _left(it.host, None, scene, held=held(it.host, scene))
            for it in interventions.maintenance
        ),
        *(_switchover(it, scene) for it in interventions.switchovers),
        *(
            _entry("evacuation", it.director, it) | _holding(held(it.director, scene))
            for it in interventions.evacuations
        ),
    ]


def _entry(kind: str, what: str, decision: Any) -> dict[str, Any]:  # noqa: ANN401 - any of four alike
    return {"kind": kind, "what": what, "by": decision.by, "reason": decision.reason, "since": decision.since}


def _drain(drain: Drain, scene: Scene) -> dict[str, Any]:
    target = str(Target(drain.host, drain.vip, drain.port))
    left = _left(drain.host, drain, scene)
    overdue = bool(drain.deadline) and scene.now > drain.since + drain.deadline and not left["done"]
    return _entry("drain", target, drain) | left | {"deadline": drain.deadline, "overdue": overdue}


def _left(host: str, drain: Drain | None, scene: Scene, held: tuple[str, ...] = ()) -> dict[str, Any]:
    counts = connections(destinations(host, drain, scene.state, scene.vips), scene)
    protocols = {service.identity: service.protocol for service in scene.state.services}
    total = None if counts is None else sum(_open(protocols[it], *count) for it, count in counts.items())
    return {
        "services": {} if counts is None else {it: list(count) for it, count in counts.items()},
        "connections": total,
        "holds": held,
        "done": not total and total is not None and not held,
    }


def _open(protocol: str | None, active: int, inactive: int) -> int:
    """Count the connections that may still carry something.

    Inactive ones of TCP are closed; the kernel remembers them for two minutes. To UDP it knows no others.
    """
    return active if protocol in ("tcp", "sctp") else active + inactive


def _switchover(switchover: Switchover, scene: Scene) -> dict[str, Any]:
    now = scene.masters.get(switchover.instance, ())
    entry = _entry("switchover", f"{switchover.instance} to {switchover.director}", switchover)
    return entry | {"holds": now, "done": now == (switchover.director,)}


def _holding(instances: tuple[str, ...]) -> dict[str, Any]:
    return {"holds": instances, "done": not instances}


def held(director: str, scene: Scene) -> tuple[str, ...]:
    """Name the VRRP instances that a host is MASTER of."""
    return tuple(instance for instance, masters in scene.masters.items() if director in masters)


def destinations(
    host: str, drain: Drain | None, state: DirectorState, vips: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Name what a drain (None: whatever there is) concerns of a host: service -> its destinations, by identity."""
    found = {
        service.identity: tuple(service.identity_of(it) for it in service.destinations if it.host == host)
        for service in state.services
        if drain is None or _concerns(drain, service, vips)
    }
    return {service: identities for service, identities in found.items() if identities}


def _concerns(drain: Drain, service: VirtualService, vips: Mapping[str, str]) -> bool:
    if drain.vip is not None and vips.get(drain.vip) != service.vip:
        return False
    return drain.port is None or drain.port in _ports(service)


def _ports(service: VirtualService) -> Collection[int]:
    return {port for ports in service.marked_ports for port in port_range(ports)} if service.mark else {service.port}


def connections(services: Mapping[str, Collection[str]], scene: Scene) -> dict[str, tuple[int, int]] | None:
    """Count the connections that all directors have to these destinations: service -> (active, inactive).

    None when a director does not tell that may have some: 0 would be taken for an answer. With connection synchronisation
    every director counts those of all, so that one is enough, and the highest number is the true one.
    """
    counted = list(_counted(services, scene))
    if not counted or (not scene.state.ipvs.sync and any(map(scene.misses, scene.state.hosts))):
        return None
    return {
        service: max((it[service] for it in counted), key=sum) if scene.state.ipvs.sync else _sum(service, counted)
        for service in services
    }


def _counted(services: Mapping[str, Collection[str]], scene: Scene) -> Iterator[dict[str, tuple[int, int]]]:
    for director in filter(scene.tells, scene.state.hosts):
        figures = scene.view.minions[director].counted.destinations
        there = {service: [figures[it] for it in ids if it in figures] for service, ids in services.items()}
        yield {
            service: (sum(it.active for it in of_service), sum(it.inactive for it in of_service))
            for service, of_service in there.items()
        }


def _sum(service: str, counted: Collection[Mapping[str, tuple[int, int]]]) -> tuple[int, int]:
    return sum(it[service][0] for it in counted), sum(it[service][1] for it in counted)
