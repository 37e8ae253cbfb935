"""Looks at the cluster for a rollout's gates and drains: gathers what the pure `gates` decides from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lbstates import bridge
from lbstates.desired import DirectorState, RoleState

from . import gates
from .topology import Topology
from .view import View
from .waves import Wave


@dataclass(slots=True)
class Gatekeeper:
    """For one generation of a cluster; `old` and `new` are states by role, `grace` seconds that two may be MASTER.

    `spared` hosts are not asked, nor missed. `moves`: VRRP instance -> the director that shall hold it as soon as it has
    the new state. `below_floor`: pools may run short.
    """

    cluster: str
    generation: int
    view: View
    topology: Topology
    before: gates.Sight
    old: Mapping[str, RoleState]
    new: Mapping[str, RoleState]
    grace: float
    spared: Collection[str] = frozenset()
    moves: Mapping[str, str] = field(default_factory=dict)
    below_floor: bool = False
    _gone: tuple[str, ...] | None = field(default=None)
    _elections: gates.Trouble = field(default=gates.Trouble())
    _unmoved: gates.Trouble = field(default=gates.Trouble())

    def judge(self, wave: Wave, applied: Collection[str], steps: Collection[str], elapsed: float) -> gates.Judgement:
        """Look behind a wave; on `applied` hosts the generation is in force, and on those of `steps` something changed."""
        directors = set(self.topology.directors) - set(self.spared)
        changed = set(steps)
        if gates.changed_checks(self.old, self.new):
            changed |= directors & set(applied)
        behind = set(wave.hosts) & changed
        patience = gates.patience(self.old, self.new, wave, self.grace, canary=wave.canary)
        if not behind:
            patience = gates.Patience(patience.takeover)
        unsampled = {host for host in behind & directors if not self._told(host)}
        now = gates.sight(self.view, self.topology)
        watched = directors if wave.canary else directors & changed
        idle = gates.idle(self.new, self.spared)
        self._elections = self._elections.seen(gates.elections(self.before, now), elapsed)
        judged = gates.judge(
            self.before, now, watched, unsampled, elapsed, patience, idle,
            trouble=self._elections, below_floor=self.below_floor,
        )  # fmt: skip
        unmoved = gates.unmoved(now, {instance: it for instance, it in self.moves.items() if it in applied})
        self._unmoved = self._unmoved.seen(unmoved, elapsed)
        moving = gates.moving(unmoved, self._unmoved, patience)
        return gates.Judgement((*judged.problems, *moving.problems), (*judged.waiting, *moving.waiting))

    def _told(self, host: str) -> bool:
        """Whether a host that is there has sent a sample since it applied."""
        minion = self.view.minions.get(host)
        if minion is None or not minion.believed or minion.sample is None:
            return False
        holding = minion.sample.holdings.get(self.cluster)
        return holding is not None and holding.applied >= self.generation

    def left(self, final: Mapping[str, RoleState]) -> int | None:
        """Count the connections to what leaves with `final`; None while a director has yet to tell, or is away.

        The MASTER has most of them, and may be silent for a moment. Who is `spared` is missed by nobody.
        """
        if self._gone is None:
            was, will = self.new.get("director"), final.get("director")
            if isinstance(was, DirectorState) and isinstance(will, DirectorState):
                self._gone = bridge.leaving(was, will)
            else:
                self._gone = ()
        asked = [it for it in self.topology.directors if it not in self.spared or self.view.is_there(it)]
        # One that restarts in the middle of it tells a master that has restarted, too, nothing of its table at first.
        if not all(self._told(it) and self.view.minions[it].counted.told for it in asked):
            return None
        return connections(self.view, asked, self._gone)


def connections(view: View, directors: Collection[str], destinations: Collection[str], *, ended: bool = False) -> int:
    """Count the connections of destinations, by identity; `ended`: also those that ended a moment ago."""
    figures = (
        entry
        for host in directors
        if view.is_there(host)
        for identity in destinations
        if (entry := view.minions[host].counted.destinations.get(identity)) is not None
    )
    return sum(entry.active + (entry.inactive if ended else 0) for entry in figures)
