"""Observe -> plan -> apply -> observe again -> report: the one place from which the host is changed.

Jobs are done one after the other by one task, so no two of them ever see the host half changed. What is desired comes
from `Holdings`, what is ours from the `Ledger`; what a plan is, is decided in `lbstates`, what of it may be done in
`policy` and `contests`, and what the journal is told of it in `telling`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from lbstates.desired import role_of
from lbstates.plan import Plan, Resources, index
from lbwire import events
from lbwire.messages import FromMinion, Planned, Reconciled

from .contests import Contests
from .errors import HostError
from .handlers.handler import Wanted
from .holdings import Holdings
from .host import Host
from .jobs import Job, Look, Outcome, Stage, Trial
from .ledger import Ledger
from .notes import told
from .planner import CANNOT, Desired, Planner
from .policy import Key, Left, key_of, part, renewed, reweighing, reweighted, waiting
from .telling import Telling

logger = logging.getLogger(__name__)


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._planner, self._host, self._holdings, self._ledger = planner, host, holdings, ledger
        self._report, self.answer, self._clock = report, answer, clock
        self._telling = Telling(report, self.cluster)
        self._contests: Contests[Key] = Contests()
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._staging: set[Stage] = set()
        self._waiting: set[Look] = set()
        self._seen: tuple[Wanted, Resources] | None = None
        self._tried: frozenset[Key] = frozenset()
        self._unsure = ""
        self._working = False
        self._home = ""
        self.desired: Resources = index(())
        self.outcome = Outcome()

    def ask(self, job: Job) -> None:
        """Queue a job; it is done when the ones before it are.

        A state that is being staged is not staged twice; a flood of happenings that ask for the same look asks once.
        """
        if isinstance(job, Look):
            if job in self._waiting:
                return
            self._waiting.add(job)
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
            self._waiting.clear()
            self._working = True
            for job in jobs:
                if isinstance(job, Stage):
                    await self._stage(job)
                elif isinstance(job, Trial):
                    await self._try(job)
            looks = [job for job in jobs if isinstance(job, Look)]
            if looks:
                await self._look(looks)
            self._working = False

    @property
    def looked(self) -> bool:
        """Whether this host has been read as a whole since this service began."""
        return self._seen is not None

    @property
    def busy(self) -> bool:
        """Whether a job is under way, or waits."""
        return self._working or not self._jobs.empty()

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
            self._report(events.StateStaged(job.generation, told(plan)), job.cluster)
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
            self.answer(Planned(job.cluster, job.command, told(plan)))

    # --- changing -------------------------------------------------------------------------------------------------

    async def _look(self, looks: Sequence[Look]) -> None:
        push = any(look.push for look in looks)
        trigger = "push" if push else looks[0].trigger
        started = self._clock()
        try:
            outcome = await self.reconcile(trigger)
        except sqlite3.Error as error:
            # Nothing is changed that could not be remembered as ours.
            await self._reweigh()
            outcome = Outcome(errors=(f"the minion's database: {error}; is the disk full?",))
        self.outcome = outcome
        self._note(self._telling.concluded(trigger, outcome, self._clock() - started))
        for look in looks:
            if look.command:
                self.answer(Reconciled(look.cluster, look.command, told(outcome.healed), outcome.drift))

    def _note(self, in_force: Iterable[tuple[str, int]]) -> None:
        try:
            for cluster, generation in in_force:
                self._holdings.applied(cluster, generation)
        except sqlite3.Error as error:
            # The next look finds the host so, and notes it then.
            logger.error("what is in force cannot be noted: %s; is the disk full?", error)  # noqa: TRY400 - no bug

    async def reconcile(self, trigger: str) -> Outcome:
        """Make the host so, and read it again to be sure."""
        unapplied = self._unapplied(self._holdings.released)
        try:
            desired = await self._planner.desired()
            unapplied = self._unapplied(lambda cluster: desired.released.get(cluster, 0))
            self._home = desired.home
            observed = await self._planner.observed(desired)
        except CANNOT as error:
            await self._reweigh()
            return Outcome(unapplied, errors=(str(error),))
        before = self.desired if self._seen else desired.resources
        first = self._seen is None
        self.desired, self._seen = desired.resources, (self._planner.wanted(desired), observed)
        if trigger == "push" and unapplied:
            # A release that came twice is no second push: what an operator has stopped since stays stopped.
            self._host.release_hold()
            self._contests.reset()
        differences = self._planner.diff(desired, observed)
        new = renewed(differences, before, desired.resources)
        if first:
            # What probes found while nobody looked, or just before this service was killed.
            new |= frozenset(map(key_of, reweighing(differences, desired.watched)))
        # Also if this look ends early: what it was to do is then still to be done, whatever the policy.
        self._tried |= new
        plan, left = self._permitted(differences, desired, unapplied, self._tried)
        plan, left = self._give_way(plan, left, new)
        outcome = Outcome(unapplied, plan, left, reweighted=reweighted(plan, before, desired.resources))
        self._telling.adopted(self._ledger.take(desired.resources, observed))
        self._telling.foreign(self._planner.foreign(desired, observed))
        self._telling.found(trigger, outcome)
        outcome = await self._change(desired, observed, outcome)
        self._tried = frozenset(map(key_of, outcome.remaining))
        if trigger != "push" and not unapplied:
            self._contests.repaired(set(map(key_of, outcome.healed)) - new, self._clock())
        return outcome

    def _permitted(
        self, differences: Plan, desired: Desired, pushed: Collection[str], new: Collection[Key]
    ) -> tuple[Plan, tuple[Left, ...]]:
        """Part what differs into what we may do, and what operators and clusters do not want done."""
        plan, held = self._host.respect(differences)
        plan, reported = part(plan, self._ledger.owned, desired.shares, pushed, new)
        return plan, (*(Left(change, "held") for change in held), *reported)

    def _give_way(self, plan: Plan, left: tuple[Left, ...], new: Collection[Key]) -> tuple[Plan, tuple[Left, ...]]:
        """Let wait what somebody keeps changing back."""
        contested, worse = self._contests.judge([it for it in map(key_of, plan) if it not in new], self._clock())
        self._telling.contested(worse)
        plan, later = waiting(plan, contested)
        return plan, (*left, *later)

    async def _change(self, desired: Desired, observed: Resources, outcome: Outcome) -> Outcome:
        """Make the changes of the plan, and read the host again: what of them was not done remains."""
        contested = outcome.left_because("contested")
        try:
            # Whoever kills keepalived again and again gets it started ever later, but never leaves its VIPs here.
            await self._host.clean_up((*outcome.plan, *contested))
            if not outcome.plan:
                self._ledger.settle(desired.resources, observed)
                self._planner.seen(observed)
                return outcome
            errors = tuple(str(error) for error in await self._host.apply(outcome.plan))
            if errors and (weights := reweighing(outcome.plan, desired.watched)):
                # What else cannot be done keeps no dead real server in; whether this was done is read below.
                await self._host.apply(weights)
            observed = await self._planner.observed(desired)
        except CANNOT as error:
            await self._reweigh()
            return replace(outcome, remaining=outcome.plan, errors=(str(error),))
        self._seen = self._planner.wanted(desired), observed
        self._ledger.settle(desired.resources, observed)
        self._planner.seen(observed)
        tried = frozenset(map(key_of, outcome.plan))
        differences = self._planner.diff(desired, observed)
        remaining, left = self._permitted(differences, desired, outcome.unapplied, tried)
        remaining, later = waiting(remaining, {key_of(change) for change in contested})
        return replace(outcome, left=(*left, *later), remaining=remaining, errors=errors)

    async def _reweigh(self) -> None:
        """Take real servers out and in, as probes found, although the host cannot be looked at or changed as a whole.

        Also if it never could be since this service began: then nothing is desired yet, and all of it counts as new.
        """
        try:
            desired = self._planner.reweighed()
            if desired is None or not desired.watched:
                return
            wanted = self._planner.wanted(desired)
            observed = await self._host.observe_table(wanted)
            differences = reweighing(self._planner.diff(desired, observed), desired.watched)
            due = renewed(differences, self.desired, desired.resources) | self._tried
            plan = tuple(it for it in differences if key_of(it) in due)
            if plan:
                await self._host.apply(plan)
                observed = await self._host.observe_table(wanted)
        except CANNOT as error:
            logger.error("the weights of real servers cannot be changed: %s", error)  # noqa: TRY400 - no bug
            return
        self._planner.seen(observed)
        self.desired = {**self.desired, "destination": desired.resources["destination"]}
        if not plan:
            return
        if self._seen is not None:
            self._seen = self._seen[0], {**self._seen[1], **observed}
        remaining = {it.identity for it in reweighing(self._planner.diff(desired, observed), desired.watched)}
        self._tried |= frozenset(key_of(it) for it in plan if it.identity in remaining)

    # --- between the looks ----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """A second has passed: look again if the host has changed by itself, or if the pause of a contest is over."""
        self._telling.settled(self._contests.settle(self._clock()))
        if self.busy or self._seen is None:
            return
        try:
            changed = self._host.changed(*self._seen)
        except (HostError, OSError) as error:
            if str(error) != self._unsure:
                logger.warning("cannot tell whether this host has changed: %s", error)
            self._unsure = str(error)
            return
        self._unsure = ""
        if changed:
            self.ask(Look(f"{changed} changed"))
        elif self._contests.due(self._clock()):
            self.ask(Look("the pause is over"))

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
