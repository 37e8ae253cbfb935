"""What this host shall be, what it is, and what would change: reads everything, changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

import msgspec

from lbstates.desired import DirectorState, RoleState, role_of
from lbstates.errors import BadState, CannotDerive
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.link import Link
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.plan import Plan, Resources, diff, foreign, index
from lbstates.resources import HostFacts, packet_rules_wanted, resources_for
from lbwire.errors import Refused

from .errors import HostError
from .handlers.handler import Wanted
from .holdings import Holdings
from .host import Host
from .ledger import Ledger
from .policy import Share, share, with_foreign

CANNOT = (HostError, CannotDerive, BadState, Refused, ValueError, OSError)
"""What a host, a state or a disk can be at fault for; anything else is a bug and ends the service."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What this host shall have, and the generations that say so: a release may come in while a host is looked at.

    `home` is the cluster that it belongs to; of several, the one that it is a director of ("": none, or not one).
    `shares` say which cluster wants what of `resources`, and what it wants done about drift. `watched` names the
    destinations whose weight follows from what probes find.
    """

    resources: dict[str, dict[str, Resource]]
    released: dict[str, int]
    home: str
    shares: tuple[Share, ...]
    watched: frozenset[str] = frozenset()


class Weigher(Protocol):
    """Gives the weights that differ from the declared ones, by the identity of the destination."""

    def weights(self, states: Iterable[RoleState], facts: HostFacts) -> Mapping[str, int]:
        """Weigh states that are only planned."""
        ...

    def follow(self, states: Iterable[RoleState], facts: HostFacts) -> Mapping[str, int]:
        """Weigh what is in force, and watch it from now on."""
        ...

    def seen(self, observed: Resources) -> None:
        """Take note of what the host has now."""
        ...


class AsDeclared:
    """Of a host that watches nothing: every destination has the weight that its state says."""

    def weights(self, _states: Iterable[RoleState], _facts: HostFacts) -> Mapping[str, int]:
        """No weight differs."""
        return _NO_WEIGHTS

    def follow(self, _states: Iterable[RoleState], _facts: HostFacts) -> Mapping[str, int]:
        """No weight differs."""
        return _NO_WEIGHTS

    def seen(self, observed: Resources) -> None:
        """It does not matter."""


_NO_WEIGHTS: Final[Mapping[str, int]] = MappingProxyType({})


class _Derived(NamedTuple):
    """What was derived last, and from what."""

    states: tuple[RoleState, ...]
    facts: HostFacts
    shares: tuple[Share, ...]
    resources: dict[str, dict[str, Resource]]
    watched: frozenset[str]

    def is_from(self, states: Sequence[RoleState], facts: HostFacts) -> bool:
        """Whether it would come out the same again: from the very same states, which nobody changes."""
        same = len(states) == len(self.states) and all(map(is_, states, self.states))
        return same and facts == self.facts


class Planner:
    """For the host named `name`. Every method may raise one of `CANNOT`."""

    def __init__(
        self, name: str, host: Host, holdings: Holdings, ledger: Ledger, weigher: Weigher | None = None
    ) -> None:
        self._name, self._host, self._holdings, self._ledger = name, host, holdings, ledger
        self._weigher: Weigher = weigher or AsDeclared()
        self._derived: _Derived | None = None

    async def desired(self, overrides: Mapping[str, Sequence[RoleState]] | None = None) -> Desired:
        """Derive what was released for this host; `overrides` replaces the states of some clusters."""
        overrides = overrides or {}
        states: list[RoleState] = []
        released = {cluster: self._holdings.released(cluster) for cluster in self._holdings.clusters()}
        for cluster in sorted({*self._holdings.clusters(), *overrides}):
            if cluster in overrides:
                states += overrides[cluster]
            else:
                states += self._holdings.states(cluster, released[cluster])
        packet_rules = any(packet_rules_wanted(state, self._name) for state in states)
        facts = await self._host.facts(packet_rules=packet_rules)
        weigh = self._weigher.weights if overrides else self._weigher.follow
        facts = msgspec.structs.replace(facts, weights=weigh(states, facts))
        derived = self._derived
        if derived is None or not derived.is_from(states, facts):
            derived = self._derive(tuple(states), facts)
            # What is only tried does not take the place of what is looked at every few seconds.
            self._derived = self._derived if overrides else derived
        return Desired(derived.resources, released, home(self._name, states), derived.shares, derived.watched)

    def reweighed(self) -> Desired | None:
        """Weigh anew what was derived last: of a host of which nothing else can be said just now. None: nothing was."""
        last = self._derived
        if last is None:
            return None
        found = self._derive(
            last.states, msgspec.structs.replace(last.facts, weights=self._weigher.weights(last.states, last.facts))
        )
        return Desired(found.resources, {}, "", found.shares, found.watched)

    def _derive(self, states: tuple[RoleState, ...], facts: HostFacts) -> _Derived:
        shares = tuple(share(state, resources_for(state, self._name, facts)) for state in states)
        resources = index(resource for share in shares for resource in share.resources)
        return _Derived(states, facts, shares, resources, frozenset(_watched(states)))

    def wanted(self, desired: Desired) -> Wanted:
        """Name what has to be read of the host: what is desired or ours."""
        owned = self._ledger.owned
        return {kind: wanted.keys() | owned[kind].keys() for kind, wanted in desired.resources.items()}

    async def observed(self, desired: Desired) -> Resources:
        """Read what the host has, of what is desired or ours."""
        return await self._host.observe(self.wanted(desired))

    def seen(self, observed: Resources) -> None:
        """The host is like this now, and nothing is being changed: what depends on it may be probed."""
        self._weigher.seen(observed)

    def diff(self, desired: Desired, observed: Resources) -> Plan:
        """Compare, knowing what is ours, and which cluster wants the IPVS table for itself."""
        return diff(desired.resources, observed, with_foreign(self._ledger.owned, observed, desired.shares))

    def foreign(self, desired: Desired, observed: Resources) -> tuple[str, ...]:
        """Name the IPVS entries that are none of ours, and that are left alone."""
        owned = with_foreign(self._ledger.owned, observed, desired.shares)
        found = {*self._host.foreign}
        for kind in ("service", "destination"):
            found.update(foreign(desired.resources, observed, owned, kind))
        return tuple(sorted(found))

    async def plan(self, overrides: Mapping[str, Sequence[RoleState]] | None = None) -> Plan:
        """Say what would change, and have tried what can be tried without changing anything."""
        desired = await self.desired(overrides)
        plan = self.diff(desired, await self.observed(desired))
        await self._host.check(plan)
        return plan


def home(host: str, states: Sequence[RoleState]) -> str:
    """Tell which cluster a host belongs to; being a director of it counts more. "" when that leaves none, or several."""
    mine = [state for state in states if host in state.hosts]
    directed = {state.cluster for state in mine if role_of(state) == "director"}
    clusters = directed or {state.cluster for state in mine}
    return clusters.pop() if len(clusters) == 1 else ""


def _watched(states: Iterable[RoleState]) -> Iterator[str]:
    for state in states:
        for service in state.services if isinstance(state, DirectorState) else ():
            if service.check is not None:
                yield from map(service.identity_of, service.all_destinations)


def concerns(desired: Resources, interface: str) -> bool:
    """Tell whether what shall be on this host has to do with a network device; "*" is every one."""
    if interface == "*":
        return any(desired.values())
    of_devices = (it for kind in ("address", "link", "sync_daemon") for it in desired[kind].values())
    if any(isinstance(it, Address | Link | SyncDaemon) and it.interface == interface for it in of_devices):
        return True
    if any(interface in key.split("/") for key in desired["sysctl"]):
        return True
    return any(interface in it.config.split() for it in desired["keepalived"].values() if isinstance(it, Keepalived))
