"""What is known of every minion, and for how long it is believed: state has a lease. Pure; times are the caller's.

Everything here comes from minions and is as old as their last message. After the lease it is unknown, not true. What one
minion can have the master remember is bounded: a captured host must not fill its memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from typing import Final

import msgspec

from lbwire.events import VrrpTransition
from lbwire.messages import Figures, Hello, Holding, Role, Sample

from .topology import Topology

STANDSTILL: Final = 2.0
"""Seconds between two looks at the leases, from which on it was the master that did not run; half a lease if that is less."""
BETWEEN_LOOKS: Final = 0.5
"""So long it may always be between two looks, however short the lease: they come several times a second, and a little late."""

NOTHING: Final = Holding(0, 0, 0)

MOST_FIGURES: Final = 65_536
"""Services and destinations of one host: some times what a state can hold."""
MOST_NAME: Final = 256
"""Characters of an identity, or of an instance's name."""
MOST_ROLES: Final = 1024
MOST_VIPS: Final = 1024
"""VIPs of one instance."""
MOST_HOLDINGS: Final = 256


class Lost(msgspec.Struct, frozen=True):
    """A minion whose lease ran out. `silent` in seconds, `roles` as last heard: instance -> state."""

    name: str
    silent: float
    roles: dict[str, str]


@dataclass(slots=True)
class Counted:
    """The figures of one host's IPVS table by identity, put together from its samples.

    `number` is that of the last sample that fitted (None: none did). A sample of changes that does not follow it is
    passed over: its host sends all figures again soon, and until then what is here is old, but not wrong.
    """

    number: int | None = None
    services: dict[str, Figures] = field(default_factory=dict)
    destinations: dict[str, Figures] = field(default_factory=dict)

    @property
    def told(self) -> bool:
        """Whether the host has told all of its table, ever."""
        return self.number is not None

    def take(self, sample: Sample) -> int:
        """Put a sample in; returns how many figures have no room."""
        if sample.full:
            self.services, self.destinations = {}, {}
        elif self.number is None or sample.number != self.number + 1:
            return 0
        self.number = sample.number
        for identity in sample.gone:
            self.services.pop(identity, None)
            self.destinations.pop(identity, None)
        return self._put(self.services, sample.services) + self._put(self.destinations, sample.destinations)

    def _put(self, known: dict[str, Figures], entries: Iterable[Figures]) -> int:
        left_out = 0
        for entry in entries:
            full = len(self.services) + len(self.destinations) >= MOST_FIGURES and entry.identity not in known
            if full or len(entry.identity) > MOST_NAME:
                left_out += 1
            else:
                known[entry.identity] = entry
        return left_out


@dataclass(slots=True)
class Minion:
    """`heard` is monotonic, `seen` Unix time (None: not since this master started).

    `online` survives a restart of the master as an assumption, so that a minion that vanished meanwhile is reported;
    `believed` does not.
    """

    online: bool = False
    heard: float = 0.0
    seen: float | None = None
    product: str = ""
    keepalived: str = ""
    holdings: dict[str, Holding] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    drift: int = 0
    sample: Sample | None = None
    counted: Counted = field(default_factory=Counted)
    sampled: float = 0.0
    counted_at: float = 0.0
    address: str = ""
    doubled: tuple[str, ...] = ()

    @property
    def believed(self) -> bool:
        return self.online and self.seen is not None


class View:
    """Minions by name."""

    def __init__(self) -> None:
        self.minions: dict[str, Minion] = {}
        self._looked = inf  # no look yet

    def assume_online(self, name: str, until: float) -> None:
        """A minion was there when the master stopped; if it is not heard of, its lease runs from `until`."""
        self.minions[name] = Minion(online=True, heard=until)

    def hear(self, name: str, now: float, wall: float) -> bool:
        """A message came in; returns whether the minion came online by it."""
        minion = self.minions.setdefault(name, Minion())
        came = not minion.online
        if came:
            # What it said before its lease ran out is unknown until it says so again.
            minion.roles = {}
        minion.online, minion.heard, minion.seen = True, now, wall
        return came

    def hello(self, name: str, message: Hello) -> None:
        minion = self.minions[name]
        minion.product, minion.keepalived = message.product, message.keepalived
        minion.holdings = _held(message.holdings)

    def sampled(self, name: str, message: Sample, now: float) -> int:
        """Take in a sample; returns how much of it is left out, since there is more than is kept of one host."""
        minion = self.minions[name]
        roles = {
            instance: role for instance, role in islice(message.roles.items(), MOST_ROLES) if _fits(instance, role)
        }
        left_out = minion.counted.take(message) + len(message.roles) - len(roles)
        if minion.counted.number == message.number:
            minion.counted_at = now
        minion.holdings, minion.roles = _held(message.holdings), roles
        # The figures are in `counted`: once is enough.
        minion.sample = msgspec.structs.replace(
            message, holdings=minion.holdings, roles=roles, services=(), destinations=(), gone=()
        )
        minion.drift, minion.sampled = message.drift, now
        return left_out

    def transition(self, name: str, data: VrrpTransition) -> None:
        """A role changed; a sample tells the same within a second. One too many is passed over."""
        roles, role = self.minions[name].roles, Role(data.state, data.priority, data.vips)
        if _fits(data.instance, role) and (data.instance in roles or len(roles) < MOST_ROLES):
            roles[data.instance] = role

    def forget(self, name: str) -> None:
        """The minion's key is no longer accepted."""
        self.minions.pop(name, None)

    def expire(self, now: float, lease: float) -> list[Lost]:
        """Take note of every lease that ran out; to be called several times a second.

        A master that stood still itself (frozen, its machine suspended) heard nobody meanwhile: the leases begin anew.
        """
        if now - self._looked > max(min(STANDSTILL, lease / 2), BETWEEN_LOOKS):
            for minion in self.minions.values():
                minion.heard = max(minion.heard, now)
        self._looked = now
        lost = []
        for name, minion in self.minions.items():
            if minion.online and now - minion.heard > lease:
                minion.online = False
                roles = {instance: role.state for instance, role in minion.roles.items()}
                lost.append(Lost(name, round(now - minion.heard, 3), roles))
        return lost

    def is_there(self, name: str) -> bool:
        """Whether a minion was heard of within its lease."""
        minion = self.minions.get(name)
        return minion is not None and minion.believed

    def heard(self, name: str) -> float:
        """When a minion was last heard of, by the clock of `hear`; minus infinity for never."""
        minion = self.minions.get(name)
        return minion.heard if minion else -inf

    def silent(self, name: str, now: float) -> float | None:
        """For how long a minion has not been heard of; None: not at all since this master started."""
        minion = self.minions.get(name)
        return None if minion is None or minion.seen is None else now - minion.heard

    def holding(self, name: str, cluster: str) -> Holding:
        """What a minion last said that it holds of a cluster."""
        minion = self.minions.get(name)
        return minion.holdings.get(cluster, NOTHING) if minion else NOTHING

    def masters(self, topology: Topology) -> dict[str, tuple[str, ...]]:
        """Tell which directors say MASTER for each VRRP instance of a cluster, and are believed."""
        return {
            instance: tuple(
                host
                for host in topology.directors
                if self.is_there(host)
                and (role := self.minions[host].roles.get(instance)) is not None
                and role.state == "MASTER"
            )
            for instance in topology.instances
        }


def _held(holdings: Mapping[str, Holding]) -> dict[str, Holding]:
    return dict(islice(holdings.items(), MOST_HOLDINGS))


def _fits(instance: str, role: Role) -> bool:
    texts = (instance, role.state, *islice(role.vips, MOST_VIPS))
    return len(role.vips) <= MOST_VIPS and max(map(len, texts)) <= MOST_NAME
