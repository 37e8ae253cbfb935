"""Observe -> plan -> apply -> observe again -> report: the one place from which the host is changed.

Jobs are done one after the other by one task, so no two of them ever see the host half changed. What is desired comes
from `Holdings`, what is ours from the `Ledger`; what a plan is, is decided in `lbstates`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from lbstates.desired import RoleState, role_of
from lbstates.plan import Plan, Resources, foreign, index
from lbwire import events
from lbwire.messages import FromMinion, Planned, Reconciled

from .holdings import Holdings
from .host import Host
from .ledger import Ledger
from .notes import steps
from .planner import CANNOT, Planner

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """Plan a generation that was received, and say what it would change; its release comes later."""

    cluster: str
    generation: int


@dataclass(frozen=True, slots=True)
class Trial:
    """Plan a state that is not kept, and answer the master."""

    cluster: str
    command: int
    state: RoleState


@dataclass(frozen=True, slots=True)
class Look:
    """Compare the host with what was released, and make it so.

    `trigger` says why, in a word for the journal; a `push` also starts a keepalived that somebody stopped. `command`
    is the number of the master's reconcile that is to be answered.
    """

    trigger: str
    cluster: str = ""
    command: int = 0

    @property
    def push(self) -> bool:
        return self.trigger == "push"


Job: TypeAlias = Stage | Trial | Look


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look came to. `respected` is what was left alone because an operator wants it so.

    `unapplied` are the generations (by cluster) that this look was to put in force.
    """

    unapplied: Mapping[str, int] = field(default_factory=dict)
    plan: Plan = ()
    respected: Plan = ()
    remaining: Plan = ()
    errors: tuple[str, ...] = ()

    @property
    def healed(self) -> Plan:
        left = {(change.kind, change.identity) for change in self.remaining}
        return tuple(change for change in self.plan if (change.kind, change.identity) not in left)

    @property
    def drift(self) -> int:
        """How many changes remain, the respected ones included; an unreadable host counts as one."""
        return len(self.remaining) + len(self.respected) or len(self.errors)


class Reconciler:
    """`report` raises an event (data, cluster), `answer` sends a message to the master."""

    def __init__(
        self,
        planner: Planner,
        host: Host,
        holdings: Holdings,
        ledger: Ledger,
        report: Callable[[events.Data, str], object],
        answer: Callable[[FromMinion], object],
    ) -> None:
        self._planner, self._host, self._holdings, self._ledger = planner, host, holdings, ledger
        self._report, self.answer = report, answer
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._staging: set[Stage] = set()
        self._said_unhealed: tuple[object, ...] | None = None
        self._said_foreign: frozenset[str] = frozenset()
        self.desired: Resources = index(())
        self._home = ""
        self.drift = 0

    def ask(self, job: Job) -> None:
        """Queue a job; it is done when the ones before it are. A state that is being staged is not staged twice."""
        if isinstance(job, Stage):
            if job in self._staging:
                return
            self._staging.add(job)
        self._jobs.put_nowait(job)

    async def run(self) -> None:
        """Do the jobs, until cancelled. Looks that wait together are done as one."""
        while True:
            jobs = [await self._jobs.get()]
            while not self._jobs.empty():
                jobs.append(self._jobs.get_nowait())
            for job in jobs:
                if isinstance(job, Stage):
                    await self._stage(job)
                elif isinstance(job, Trial):
                    await self._try(job)
            looks = [job for job in jobs if isinstance(job, Look)]
            if looks:
                await self._look(looks)

    # --- deciding without changing ------------------------------------------------------------------------------

    async def _stage(self, job: Stage) -> None:
        if self._holdings.holding(job.cluster).staged < job.generation:
            self._staging.discard(job)
            return  # another role's state of this generation is still to come, and asks again
        try:
            states = self._holdings.states(job.cluster, job.generation)
            plan = await self._planner.plan({job.cluster: states})
        except CANNOT as error:
            self._report(events.StateRefused(job.generation, "stage", str(error)), job.cluster)
        else:
            self._report(events.StateStaged(job.generation, steps(plan)), job.cluster)
        finally:
            self._staging.discard(job)

    async def _try(self, job: Trial) -> None:
        try:
            released = self._holdings.states(job.cluster, self._holdings.released(job.cluster))
            others = [state for state in released if role_of(state) != role_of(job.state)]
            plan = await self._planner.plan({job.cluster: [*others, job.state]})
        except CANNOT as error:
            self.answer(Planned(job.cluster, job.command, error=str(error)))
        else:
            self.answer(Planned(job.cluster, job.command, steps(plan)))

    # --- changing -------------------------------------------------------------------------------------------------

    async def _look(self, looks: Sequence[Look]) -> None:
        push = any(look.push for look in looks)
        trigger = "push" if push else looks[0].trigger
        started = time.monotonic()
        try:
            outcome = await self.reconcile(trigger)
        except sqlite3.Error as error:
            # Nothing is changed that could not be remembered as ours.
            outcome = Outcome(errors=(f"the minion's database: {error}; is the disk full?",))
        seconds = time.monotonic() - started
        self.drift = outcome.drift
        self._conclude(trigger, outcome, seconds)
        for look in looks:
            if look.command:
                self.answer(Reconciled(look.cluster, look.command, steps(outcome.healed), outcome.drift))

    async def reconcile(self, trigger: str) -> Outcome:
        """Make the host so, and read it again to be sure."""
        unapplied = self._unapplied(self._holdings.released)
        try:
            wanted = await self._planner.desired()
            unapplied = self._unapplied(lambda cluster: wanted.released.get(cluster, 0))
            desired, self._home = wanted.resources, wanted.home
            observed = await self._planner.observed(desired)
        except CANNOT as error:
            return Outcome(unapplied, errors=(str(error),))
        self.desired = desired
        if trigger == "push":
            self._host.release_hold()
        plan, respected = self._host.respect(self._planner.diff(desired, observed))
        self._ledger.take(desired, observed)
        self._notice_foreign(desired, observed)
        if not plan:
            self._ledger.settle(desired, observed)
            return Outcome(unapplied, respected=respected)
        # What was found before and could not be healed is no news.
        known = self._said_unhealed is not None and self._said_unhealed[0] == plan
        if trigger != "push" and not unapplied and not known:
            self._report(events.DriftFound(trigger, steps(plan)), self.cluster())
        return await self._change(desired, Outcome(unapplied, plan, respected))

    async def _change(self, desired: Resources, outcome: Outcome) -> Outcome:
        try:
            errors = tuple(str(error) for error in await self._host.apply(outcome.plan))
            observed = await self._planner.observed(desired)
        except CANNOT as error:
            return replace(outcome, remaining=outcome.plan, errors=(str(error),))
        self._ledger.settle(desired, observed)
        remaining, respected = self._host.respect(self._planner.diff(desired, observed))
        return replace(outcome, respected=respected, remaining=remaining, errors=errors)

    # --- reporting ------------------------------------------------------------------------------------------------

    def _conclude(self, trigger: str, outcome: Outcome, seconds: float) -> None:
        if outcome.remaining or outcome.errors:
            self._say_unhealed(trigger, outcome)
            return
        self._said_unhealed = None
        for cluster, generation in outcome.unapplied.items():
            # What an operator keeps from being in force is not in force.
            if not outcome.respected:
                self._holdings.applied(cluster, generation)
                self._report(events.StateApplied(generation, steps(outcome.plan), seconds), cluster)
        if outcome.plan and not outcome.unapplied:
            self._report(events.DriftHealed(trigger, steps(outcome.healed), seconds), self.cluster())

    def _say_unhealed(self, trigger: str, outcome: Outcome) -> None:
        """Say it once, not at every look: only a change of what is wrong, or a new push, is news."""
        said = (outcome.remaining, outcome.errors)
        if trigger == "push":
            reason = "; ".join(outcome.errors) or "still to be done after applying: " + "; ".join(
                change.describe() for change in outcome.remaining
            )
            for cluster, generation in outcome.unapplied.items():
                self._report(events.StateRefused(generation, "apply", reason), cluster)
        elif said != self._said_unhealed:
            unhealed = events.DriftUnhealed(trigger, steps(outcome.remaining), outcome.errors)
            self._report(unhealed, self.cluster())
        self._said_unhealed = said

    def _notice_foreign(self, desired: Resources, observed: Resources) -> None:
        found = set(self._host.foreign)
        for kind in ("service", "destination"):
            found |= set(foreign(desired, observed, self._ledger.owned, kind))
        if found - self._said_foreign:
            self._report(events.Foreign(tuple(sorted(found))), self.cluster())
        self._said_foreign = frozenset(found)

    def _unapplied(self, released: Callable[[str], int]) -> dict[str, int]:
        """Clusters with a released generation that is not yet known to be in force here."""
        return {
            cluster: released(cluster)
            for cluster in self._holdings.clusters()
            if released(cluster) > self._holdings.holding(cluster).applied
        }

    def cluster(self) -> str:
        """The cluster that a host-wide happening is filed under: the one that this host belongs to."""
        clusters = self._holdings.clusters()
        return clusters[0] if len(clusters) == 1 else self._home
