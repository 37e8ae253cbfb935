"""One generation after the other: what an errand begins with, what follows when a generation is over, and after a restart.

Most errands are one generation. `_over` decides what comes next: what was meant, once that which leaves is drained, or the
way back. Whether an errand may begin is decided before, in `pushes`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Container, Mapping
from typing import Any, Final

import msgspec

from lbstates.desired import RoleState
from lbstates.errors import StateError
from lbstates.interventions import Interventions
from lbwire.conclusions import PushFinished, PushRolledBack, PushStarted
from lbwire.errors import Refused
from lbwire.events import Data

from . import gates
from .clusters import Clusters
from .config import Config
from .course import Course, decode
from .crossing import crossing
from .errand import Errand, Stays
from .errors import RequestError
from .gatekeeper import Gatekeeper
from .generations import Making
from .preparing import Content, There
from .push import Means, Push
from .records import Going
from .requests import Kind, Request
from .rollout import Finish
from .signing import Signer
from .store import Store
from .topology import Topology, topology
from .view import View
from .waves import Waves, plan_waves, replanned

logger = logging.getLogger(__name__)

RESUME_SECONDS: Final = 120.0
ROLLBACK_WAVE_SECONDS: Final = 20.0
"""So long a host may take to go back before the others go on without it."""
RETRY_SECONDS: Final = 1.0

States = Mapping[str, RoleState]


class Succession:
    """`errands` and `running` map a cluster to what is under way, and to its present generation; there is one at most."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clusters: Clusters,
        view: View,
        signer: Signer,
        means: Means,
        report: Callable[[Data, str], None],
    ) -> None:
        self._config, self._generations, self._records = config, store.generations, store.records
        self._clusters, self._view, self._signer, self._report = clusters, view, signer, report
        self._means = means
        self._loop = asyncio.get_running_loop()
        self.running: dict[str, Push] = {}
        self.errands: dict[str, Errand] = {}
        self._retries: dict[str, asyncio.TimerHandle] = {}

    def states(self, cluster: str, generation: int) -> States:
        """Read the states of a generation; none if they are damaged, which a push mends."""
        try:
            raw = self._generations.states(cluster, generation)
            return {role: self._signer.open_state(one) for role, one in raw.items()}
        except (Refused, StateError):
            logger.exception("generation %d of %s in the store is damaged", generation, cluster)
            return {}

    def file(self, cluster: str, generation: int) -> tuple[str, str]:
        """Return the text of a generation's file, and its name. Raises `RequestError` if it is not kept."""
        made, text = self._records.made(cluster, generation), self._records.text(cluster, generation)
        if made is None or not text:
            kept = ", ".join(str(it.generation) for it in self._records.newest(cluster, 5))
            raise RequestError(
                "unknown_generation", f"generation {generation} of {cluster} is not kept; the last ones are {kept}"
            )
        return text, made.file

    def holders(self, cluster: str, instances: Container[str]) -> dict[str, str]:
        """Tell who was last known to hold some VRRP instances."""
        held = self._generations.holders().items()
        return {instance: host for (of, instance), host in held if of == cluster and instance in instances}

    def first(
        self, errand: Errand, content: Content, old: States, there: There, first: tuple[Content, dict[str, str]]
    ) -> None:
        """Begin with what leaves drained, or VIPs `first` elsewhere, if need be; else with the content itself."""
        options, wanted = errand.request.options, topology(content.states)
        in_force = self._clusters.released(errand.cluster)
        switched, moves = first
        self.errands[errand.cluster] = errand
        course = Course(
            options,
            base=self._records.converged(errand.cluster, content.after + 1),
            # Where nothing is in force, an earlier attempt may have been left half done.
            before=gates.sight(self._view, in_force if in_force.hosts else wanted),
            optional=tuple(sorted(content.spared(options.allow_missing))),
            missing=there.missing,
            kind=errand.request.kind,
        )
        try:
            between = crossing(old, switched.states, wanted, options, self._view)
            if between is None and not moves:
                self._launch(errand, errand.request.kind, content, course, old, there.leaving)
                return
            bridged = msgspec.structs.replace(content, states=dict(between or switched.states))
            missing = (*course.missing, *self._gone(topology(bridged.states), wanted))
            course = msgspec.structs.replace(course, after=content.encoded(), moves=moves, missing=missing)
            self._launch(errand, "settle", bridged, course, old, there.leaving)
        except BaseException:
            del self.errands[errand.cluster]
            raise

    def _gone(self, before: Topology, wanted: Topology) -> tuple[str, ...]:
        """Name the hosts that leave and are away: nobody waits for them. They hear that they have left when they are back."""
        here = {name for name, minion in self._view.minions.items() if minion.online}
        return tuple(host for host in before.hosts if host not in wanted.hosts and host not in here)

    def _launch(
        self, errand: Errand, kind: Kind, content: Content, course: Course, old: States, leaving: Topology,
        part_of: int = 0,
    ) -> None:  # fmt: skip
        """Make the next generation of an errand, and send it on its way."""
        cluster, wanted = errand.cluster, topology(content.states)
        waves = self._plan(cluster, wanted.without(course.missing), leaving.without(course.missing), course)
        course = msgspec.structs.replace(course, waves=waves, pauses=())
        request = msgspec.structs.replace(errand.request, kind=kind)
        making = Making(
            content.text, content.file, request, wanted.roles, content.interventions, content.content_of, part_of,
            course.encode(),
        )  # fmt: skip

        def seal(number: int) -> Mapping[str, bytes]:
            return {role: self._signer.state(cluster, role, number, s) for role, s in content.states.items()}

        generation = self._generations.begin(cluster, making, seal)
        self._forget(cluster, course.base, generation)
        self._clusters.changed(cluster)
        hosts = tuple(sorted(host for wave in waves for host in wave.hosts))
        self._report(PushStarted(generation, hosts, request.by), cluster)
        self._begin(errand, generation, course, content.states, old, leaving, course.options.timeout)

    def _plan(self, cluster: str, wanted: Topology, leaving: Topology, course: Course) -> Waves:
        """Order the hosts by who holds what now."""
        holders = self.holders(cluster, {**wanted.instances, **leaving.instances})
        drained = bool(course.options.drain) and not course.forgiving
        return plan_waves(wanted, leaving, holders, course.options.canary, drained=drained)

    def replan(self, push: Push) -> None:
        """Order anew what is not released yet: while an operator was waited for, VIPs may have moved.

        A way back keeps its order: from which generation it leads is not kept, and so not which VIPs were advertised.
        """
        cluster, course = push.cluster, push.course
        if course.forgiving:
            return
        wanted, leaving = self._clusters.current(cluster), self._clusters.released(cluster)
        missing = {*wanted.hosts, *leaving.hosts} - push.hosts.keys()
        plan = self._plan(cluster, wanted.without(missing), leaving.without(missing), course)
        waves = replanned(course.waves, push.rollout.released, plan)
        if waves != course.waves:
            course = msgspec.structs.replace(course, waves=waves)
            self._records.set_course(cluster, push.generation, course.encode())
            push.reordered(course)

    def _forget(self, cluster: str, *needed: int) -> None:
        released = self._generations.clusters[cluster].released
        try:
            self._records.forget(cluster, self._config.generations_kept, released, *needed)
        except sqlite3.Error as error:
            logger.warning("old generations of %s cannot be forgotten yet: %s", cluster, error)

    def _begin(
        self, errand: Errand, generation: int, course: Course, new: States, old: States, leaving: Topology,
        seconds: float, *, approved: int = 0,
    ) -> None:  # fmt: skip
        cluster, wanted = errand.cluster, topology(new)
        gatekeeper = Gatekeeper(
            cluster, generation, self._view, wanted, course.before, old, new, self._config.split_brain_grace,
            course.optional, course.moves, course.options.below_floor,
        )  # fmt: skip
        changed = {*wanted.directors} - {*leaving.directors} | {*wanted.real_servers} - {*leaving.real_servers}
        # After a start of the master those are there, too, that were there when it stopped.
        here = {name for name, minion in self._view.minions.items() if minion.online}
        lost = frozenset(host for wave in course.waves for host in wave.hosts if host not in here)
        rollout = course.rollout(self._loop.time(), seconds, approved=approved, lost=lost)
        push = Push(cluster, generation, course, rollout, self._means, gatekeeper, errand.tell, self._over, changed)
        errand.generation = errand.generation or generation
        self.running[cluster] = push
        self._clusters.under_way[cluster] = generation
        push.begin()

    # --- what follows ---------------------------------------------------------------------------------------------

    def _over(self, push: Push, finish: Finish) -> None:
        """Note how a generation ended, and go on with the next one of its errand, if there is any."""
        errand = self.errands[push.cluster]
        errand.took(push, finish)
        self._persist(push.cluster, lambda: self._ended(errand, push, finish))

    def _persist(self, cluster: str, step: Callable[[], None]) -> None:
        """Take a step that begins with writing to the database; as long as that fails, nothing goes on."""
        try:
            step()
        except sqlite3.Error as error:
            if cluster in self.running and not self.running[cluster].rollout.over:
                raise  # the next generation is on its way, and helps itself
            logger.error("the rollout in %s cannot go on: %s; tried again every %g s", cluster, error, RETRY_SECONDS)  # noqa: TRY400
            self._retries[cluster] = self._loop.call_later(RETRY_SECONDS, self._persist, cluster, step)

    def _ended(self, errand: Errand, push: Push, finish: Finish) -> None:
        cluster, generation, course = push.cluster, push.generation, push.course
        converged = finish.outcome == "converged"
        if converged and self._generations.clusters[cluster].released != generation:
            self._generations.set_released(cluster, generation)
        if converged and course.undoes:
            self._generations.set_status(cluster, course.undoes, "rolled_back")
        follows = converged and course.after is not None
        errand.stays = "" if converged or course.undoes else self.stays(push)
        goes_back = not converged and not course.forgiving and not errand.stays
        reason = errand.reason if goes_back else ""
        phase: Any = "settled" if follows else "rolling_back" if goes_back else "over"
        self._records.ended(cluster, generation, phase, "converged" if converged else "failed", reason)
        del self.running[cluster]
        del self._clusters.under_way[cluster]
        self._report(PushFinished(generation, finish.outcome, push.seconds, push.problems), cluster)
        if course.undoes:
            self._taken_back(errand, push, finish)
        if follows:
            self._persist(cluster, lambda: self._follow(errand, generation, course))
        elif goes_back:
            self._persist(cluster, lambda: self._go_back(errand, generation, course, reason))
        else:
            errand.tell({"phase": finish.outcome, "generation": generation, "seconds": push.seconds})
            self._end(errand)

    def stays(self, push: Push, *, keep: bool = False) -> Stays:
        """Tell why a push would not be taken back now; "" if it would."""
        made = self._records.made(push.cluster, push.generation)
        if not push.rollout.released and not (made and made.part_of):
            return "not_released"
        if push.kept or keep:
            return "kept"
        if not push.course.options.rollback:
            return "no_rollback"
        return "" if push.course.base else "first"

    def _end(self, errand: Errand) -> None:
        del self.errands[errand.cluster]
        errand.end(self._loop.time(), self._generations.clusters[errand.cluster].released)

    def _follow(self, errand: Errand, settled: int, course: Course) -> None:
        """Roll out what was meant, now that what leaves is drained."""
        cluster = errand.cluster
        old = self.states(cluster, settled)
        try:
            states = course.states_after() or {}
        except StateError:
            logger.exception("what follows generation %d of %s is damaged in the store: push again", settled, cluster)
            self._end(errand)
            return
        made = self._records.made(cluster, settled)
        content = Content(
            cluster, *self.file(cluster, settled), states, made.interventions if made else Interventions(),
            content_of=made.content_of if made else 0,
        )  # fmt: skip
        missing = (*course.missing, *self._gone(topology(old), topology(states)))
        course = msgspec.structs.replace(course, after=None, moves={}, missing=tuple(dict.fromkeys(missing)))
        self._launch(errand, course.kind, content, course, old, topology(old), settled)

    def _go_back(self, errand: Errand, failed: int, course: Course, reason: str) -> None:
        """Roll out the content of the last converged generation, with no gates, to whoever is there."""
        cluster, base = errand.cluster, course.base
        states, made = self.states(cluster, base), self._records.made(cluster, base)
        if not states or made is None:
            logger.error("generation %d of %s cannot be gone back to: it is damaged, or not kept", base, cluster)
            self._records.set_phase(cluster, failed, "over", reason)
            errand.stays = "damaged"
            self._end(errand)
            return
        errand.tell({"phase": "rolling back", "generation": failed, "content_of": base, "error": reason})
        content = Content(cluster, *self.file(cluster, base), dict(states), made.interventions, content_of=base)
        options = msgspec.structs.replace(
            course.options, gates=False, pause="", canary="", wave_timeout=ROLLBACK_WAVE_SECONDS
        )
        back = msgspec.structs.replace(
            course, options=options, after=None, moves={}, forgiving=True, undoes=failed, missing=()
        )
        old = self.states(cluster, failed)
        self._launch(errand, "rollback", content, back, old, topology(old), failed)

    def _taken_back(self, errand: Errand, push: Push, finish: Finish) -> None:
        undone, outcome = push.course.undoes, finish.outcome
        going = self._records.going(push.cluster, undone)
        reason = going.reason if going else errand.reason
        self._report(PushRolledBack(undone, push.generation, push.course.base, outcome, reason), push.cluster)

    # --- after a restart ------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on with what was under way when the master was stopped, or go back, as it was decided then."""
        for cluster, known in self._generations.clusters.items():
            try:
                self._resume(cluster, known.generation)
            except (Refused, StateError, ValueError, RequestError):
                logger.exception("generation %d of %s in the store is damaged: push again", known.generation, cluster)
                self.errands.pop(cluster, None)

    def _resume(self, cluster: str, generation: int) -> None:
        made, going = self._records.made(cluster, generation), self._records.going(cluster, generation)
        if made is None:
            return
        under_way = made.status in ("staged", "released") and (going is None or going.phase == "running")
        if not under_way and (going is None or going.phase == "over"):
            return
        course = decode(going.course) if going else Course()
        request = Request(course.kind, made.by, made.origin, made.reason, course.options)
        errand = Errand(cluster, request, self._loop.create_future(), self._loop.time(), course.missing)
        errand.generation = generation
        self.errands[cluster] = errand
        logger.info("resuming the rollout of generation %d of %s", generation, cluster)
        if going is not None and going.phase == "settled":
            self._follow(errand, generation, course)
        elif going is not None and going.phase == "rolling_back":
            self._go_back(errand, generation, course, going.reason)
        else:
            self._take_up(errand, generation, course, going)

    def _take_up(self, errand: Errand, generation: int, course: Course, going: Going | None) -> None:
        """Ask every host of a generation to stage it once more; those that have applied it say so."""
        cluster = errand.cluster
        known = self._generations.clusters[cluster]
        wanted = self._clusters.at(cluster, generation)
        # What was in force when this push began, unless its last wave was released already.
        base = known.released if known.released < generation else generation - 1
        leaving = self._clusters.at(cluster, base)
        if not course.waves:
            there = {name for name, minion in self._view.minions.items() if minion.online}
            leaving = leaving.without({*leaving.hosts} - {*wanted.hosts, *there})
            course = msgspec.structs.replace(course, waves=plan_waves(wanted, leaving, {}))
        new, old = self.states(cluster, generation), self.states(cluster, base)
        approved = going.approved if going else 0
        self._begin(errand, generation, course, new, old, leaving, RESUME_SECONDS, approved=approved)

    def stop(self) -> None:
        """The master stops."""
        for retry in self._retries.values():
            retry.cancel()
        for push in self.running.values():
            push.end()
        for errand in self.errands.values():
            errand.result.cancel()
