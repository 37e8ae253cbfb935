"""What this host shall be, what it is, and what would change: reads everything, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lbstates.desired import RoleState, role_of
from lbstates.errors import BadState, CannotDerive
from lbstates.kinds.kind import Resource
from lbstates.plan import Plan, Resources, diff, index
from lbstates.resources import resources_for
from lbwire.errors import Refused

from .errors import HostError
from .holdings import Holdings
from .host import Host
from .ledger import Ledger

CANNOT = (HostError, CannotDerive, BadState, Refused, ValueError, OSError)
"""What a host, a state or a disk can be at fault for; anything else is a bug and ends the service."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What this host shall have, and the generations that say so: a release may come in while a host is looked at.

    `home` is the cluster that it belongs to; of several, the one that it is a director of ("": none, or not one).
    """

    resources: dict[str, dict[str, Resource]]
    released: dict[str, int]
    home: str


class Planner:
    """For the host named `name`. Every method may raise one of `CANNOT`."""

    def __init__(self, name: str, host: Host, holdings: Holdings, ledger: Ledger) -> None:
        self._name, self._host, self._holdings, self._ledger = name, host, holdings, ledger

    async def desired(self, overrides: Mapping[str, Sequence[RoleState]] | None = None) -> Desired:
        """Derive what was released for this host; `overrides` replaces the states of some clusters."""
        overrides = overrides or {}
        facts = await self._host.facts()
        states: list[RoleState] = []
        released = {cluster: self._holdings.released(cluster) for cluster in self._holdings.clusters()}
        for cluster in {*self._holdings.clusters(), *overrides}:
            if cluster in overrides:
                states += overrides[cluster]
            else:
                states += self._holdings.states(cluster, released[cluster])
        resources = index(resource for state in states for resource in resources_for(state, self._name, facts))
        return Desired(resources, released, home(self._name, states))

    async def observed(self, desired: Resources) -> Resources:
        """Read what the host has, of what is desired or ours."""
        owned = self._ledger.owned
        return await self._host.observe({kind: wanted.keys() | owned[kind].keys() for kind, wanted in desired.items()})

    def diff(self, desired: Resources, observed: Resources) -> Plan:
        """Compare, knowing what is ours."""
        return diff(desired, observed, self._ledger.owned)

    async def plan(self, overrides: Mapping[str, Sequence[RoleState]] | None = None) -> Plan:
        """Say what would change, and have tried what can be tried without changing anything."""
        desired = (await self.desired(overrides)).resources
        plan = self.diff(desired, await self.observed(desired))
        await self._host.check(plan)
        return plan


def home(host: str, states: Sequence[RoleState]) -> str:
    """Tell which cluster a host belongs to; being a director of it counts more. "" when that leaves none, or several."""
    mine = [state for state in states if host in state.hosts]
    directed = {state.cluster for state in mine if role_of(state) == "director"}
    clusters = directed or {state.cluster for state in mine}
    return clusters.pop() if len(clusters) == 1 else ""
