"""Desired states -> what a director has to probe, and how it gets there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.desired import DirectorState, RoleState
from lbstates.facts import HostFacts
from lbstates.kinds.destination import destination_identity
from lbstates.kinds.service import mark_identity
from lbstates.probe_path import mark_of, way_of

from .outcome import Target
from .watches import Probe


class Watched(NamedTuple):
    """One real server of one service; `gate` is the destination by which IPVS leads the probe there ("": none is needed)."""

    service: VirtualService
    destination: ServiceDestination
    probe: Probe
    gate: str = ""

    @property
    def real_server(self) -> str:
        """Its name, as people know it."""
        return self.destination.host or self.destination.address


def services(states: Iterable[RoleState], host: str) -> list[VirtualService]:
    """Name the services that are watched on this host."""
    return [service for state in directed(states, host) for service in state.services if service.check is not None]


def watched(states: Iterable[RoleState], host: str, facts: HostFacts) -> dict[str, Watched]:
    """Say for the identity of every destination that has a weight how it is watched on this host."""
    found: dict[str, Watched] = {}
    for state in directed(states, host):
        for service in state.services:
            for destination in service.destinations:
                if service.check is not None and destination.weight:
                    found[service.identity_of(destination)] = _watched(state, service, destination, host, facts)
    return found


def directed(states: Iterable[RoleState], host: str) -> list[DirectorState]:
    """Pick the states that this host is a director by."""
    return [state for state in states if isinstance(state, DirectorState) and host in state.hosts]


def _watched(
    state: DirectorState, service: VirtualService, destination: ServiceDestination, host: str, facts: HostFacts
) -> Watched:
    if service.check is None:
        raise TypeError(f"{service.identity} is not watched")
    port = service.check.port or destination.port or service.port
    protocol, own = service.protocol or "tcp", state.hosts[host]
    way = way_of(service, destination)
    # A director is not led to itself by IPVS; and a backup that does not balance beside a master (`backup_only`) is led
    # nowhere.
    idle = state.ipvs.backup_only and not facts.masters
    if way is None or idle or destination.address in (*own.addresses, *facts.interfaces):
        there = Target(destination.address, port, protocol, 0, "", destination.address, service.vip)
        return Watched(service, destination, Probe(there, service.check))
    mark = mark_of(way)
    source = own.address_of(service.family) or ""
    there = Target(service.vip, port, protocol, mark, source, destination.address, service.vip)
    gate = destination_identity(mark_identity(mark, way.family), way.address, 0)
    return Watched(service, destination, Probe(there, service.check), gate)
