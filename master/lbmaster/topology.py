"""What the master needs to know of a cluster's desired state: who has which role, and which VIPs an instance has. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from lbstates.desired import DirectorState, RealServerState, RoleState


class Topology(msgspec.Struct, frozen=True):
    """One generation of a cluster. `instances`: VRRP instance -> its VIPs with prefix length.

    `advertised`: VRRP instance -> the bare VIPs that its advertisements list.
    """

    directors: tuple[str, ...] = ()
    real_servers: tuple[str, ...] = ()
    instances: dict[str, tuple[str, ...]] = {}
    advertised: dict[str, frozenset[str]] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.directors, *self.real_servers)))

    def without(self, hosts: Collection[str]) -> Topology:
        """Leave hosts out."""
        return Topology(
            tuple(host for host in self.directors if host not in hosts),
            tuple(host for host in self.real_servers if host not in hosts),
            self.instances,
            self.advertised,
        )

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        return {"director": self.directors, "realserver": self.real_servers}


def topology(states: Mapping[str, RoleState]) -> Topology:
    """Read it from the states of a generation, by role."""
    directors: tuple[str, ...] = ()
    real_servers: tuple[str, ...] = ()
    instances: dict[str, tuple[str, ...]] = {}
    advertised: dict[str, frozenset[str]] = {}
    for state in states.values():
        match state:
            case DirectorState():
                directors = tuple(state.hosts)
                instances = {instance.name: tuple(vip.address for vip in instance.vips) for instance in state.instances}
                advertised = {it.name: frozenset(vip.bare for vip in it.advertised) for it in state.instances}
            case RealServerState():
                real_servers = tuple(state.hosts)
    return Topology(directors, real_servers, instances, advertised)
