"""What is known of every minion, and for how long it is believed: state has a lease. Pure; times are the caller's.

Everything here comes from minions and is as old as their last message. After the lease it is unknown, not true.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from lbwire.events import VrrpTransition
from lbwire.messages import Figures, Hello, Holding, Role, Sample

from .topology import Topology

NOTHING: Final = Holding(0, 0, 0)


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

    def take(self, sample: Sample) -> None:
        """Put a sample in."""
        if sample.full:
            self.services, self.destinations = {}, {}
        elif self.number is None or sample.number != self.number + 1:
            return
        self.number = sample.number
        self.services.update((entry.identity, entry) for entry in sample.services)
        self.destinations.update((entry.identity, entry) for entry in sample.destinations)
        for identity in sample.gone:
            self.services.pop(identity, None)
            self.destinations.pop(identity, None)


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
    address: str = ""

    @property
    def believed(self) -> bool:
        return self.online and self.seen is not None


class View:
    """Minions by name."""

    def __init__(self) -> None:
        self.minions: dict[str, Minion] = {}

    def assume_online(self, name: str, until: float) -> None:
        """A minion was there when the master stopped; if it is not heard of, its lease runs from `until`."""
        self.minions[name] = Minion(online=True, heard=until)

    def hear(self, name: str, now: float, wall: float) -> bool:
        """A message came in; returns whether the minion came online by it."""
        minion = self.minions.setdefault(name, Minion())
        came = not minion.online
        minion.online, minion.heard, minion.seen = True, now, wall
        return came

    def hello(self, name: str, message: Hello) -> None:
        minion = self.minions[name]
        minion.product, minion.keepalived = message.product, message.keepalived
        minion.holdings = dict(message.holdings)

    def sampled(self, name: str, message: Sample, now: float) -> None:
        minion = self.minions[name]
        minion.holdings, minion.roles = dict(message.holdings), dict(message.roles)
        minion.drift, minion.sample, minion.sampled = message.drift, message, now
        minion.counted.take(message)

    def transition(self, name: str, data: VrrpTransition) -> None:
        """A role changed; a sample tells the same within a second."""
        self.minions[name].roles[data.instance] = Role(data.state, data.priority, data.vips)

    def forget(self, name: str) -> None:
        """The minion's key is no longer accepted."""
        self.minions.pop(name, None)

    def expire(self, now: float, lease: float) -> list[Lost]:
        """Take note of every lease that ran out."""
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
