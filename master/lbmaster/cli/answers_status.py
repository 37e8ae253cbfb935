"""What the master answers about clusters as they are, typed: VIPs, hosts, what operators decided, what checks found.

As in `answers`, unknown fields are skipped and missing ones have a default.
"""

from __future__ import annotations

import msgspec

from .answers import Answer
from .answers_rollout import Rollout


class Vip(Answer, frozen=True):
    """Who holds a VIP. More than one of `masters` is a split brain."""

    instance: str = ""
    holder: str | None = None
    masters: tuple[str, ...] = ()


class HostRole(Answer, frozen=True):
    """What a director is in one VRRP instance."""

    state: str
    priority: int | None = 0


class Host(Answer, frozen=True):
    """One host of a cluster. `last_seen`: seconds ago (None: never). `drift`: changes found and not healed."""

    role: str = ""
    online: bool = False
    last_seen: float | None = None
    staged: int = 0
    applied: int = 0
    drift: int = 0
    roles: dict[str, HostRole] = msgspec.field(default_factory=dict)
    keepalived: str | None = ""
    product: str | None = ""
    note: str | None = ""


class Decided(Answer, frozen=True):
    """What operators have decided: a drain, a maintenance, a switchover or an evacuation of `what`.

    `services`: active and inactive connections by service, `connections` how many of them may still carry something (None:
    not every director tells). `holds`: VRRP instances that it is still MASTER of, or, of a switchover, who is. `done`: nothing is
    left to wait for. Times as everywhere: `since` in Unix time, `deadline` in seconds.
    """

    kind: str
    what: str
    by: str = ""
    reason: str = ""
    since: float = 0.0
    deadline: float = 0.0
    overdue: bool = False
    connections: int | None = None
    services: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    holds: tuple[str, ...] = ()
    done: bool = False


class Ailment(Answer, frozen=True):
    """What checks have found of a service, a destination or an endpoint, and the hosts that say so."""

    kind: str
    what: str
    hosts: tuple[str, ...] = ()
    reason: str = ""


class Ailments(Answer, frozen=True):
    """`count` is how many there are, `found` the gravest of them."""

    count: int = 0
    found: tuple[Ailment, ...] = ()


class Cluster(Answer, frozen=True):
    """One cluster as the master knows it; `released` is the generation that its hosts shall have applied."""

    generation: int = 0
    released: int = 0
    vips: dict[str, Vip] = msgspec.field(default_factory=dict)
    rollout: Rollout | None = None
    hosts: dict[str, Host] = msgspec.field(default_factory=dict)
    interventions: tuple[Decided, ...] = ()
    health: Ailments = Ailments()

    @property
    def in_maintenance(self) -> frozenset[str]:
        """The hosts on which somebody works: that one of them is away is no trouble."""
        return frozenset(it.what for it in self.interventions if it.kind == "maintenance")


class Status(Answer, frozen=True):
    """The answer to status; `time` is the master's clock."""

    clusters: dict[str, Cluster]
    time: float = 0.0
    unassigned: tuple[str, ...] = ()
