"""What the master needs to know of a cluster's desired state: who has which role, and which VIPs an instance has. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lbstates.desired import DirectorState, RealServerState, RoleState


class Topology(msgspec.Struct, frozen=True):
    """One generation of a cluster. `instances`: VRRP instance -> its VIPs with prefix length."""

    directors: tuple[str, ...] = ()
    real_servers: tuple[str, ...] = ()
    instances: dict[str, tuple[str, ...]] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.directors, *self.real_servers)))

    @property
    def roles(self) -> dict[str, tuple[str, ...]]:
        return {"director": self.directors, "realserver": self.real_servers}


def topology(states: Mapping[str, RoleState]) -> Topology:
    """Read it from the states of a generation, by role."""
    directors: tuple[str, ...] = ()
    real_servers: tuple[str, ...] = ()
    instances: dict[str, tuple[str, ...]] = {}
    for state in states.values():
        match state:
            case DirectorState():
                directors = tuple(state.hosts)
                instances = {instance.name: tuple(vip.address for vip in instance.vips) for instance in state.instances}
            case RealServerState():
                real_servers = tuple(state.hosts)
    return Topology(directors, real_servers, instances)
