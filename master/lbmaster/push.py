"""One generation under way: carries out what the rollout decides, and tells whoever watches.

The rules of a rollout are in `rollout`, the order of hosts in `waves`, what a gate asks for in `gates`; what follows when
it is over is for `pushes`. A push belongs to the master, not to the command line that asked for it: it goes on when nobody
watches any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lbstates.errors import StateError
from lbwire.conclusions import PushGate, PushPaused, PushWave
from lbwire.events import Data
from lbwire.messages import Holding, Step

from .course import Course
from .dispatch import Dispatch
from .gatekeeper import Gatekeeper
from .generations import Generations
from .rollout import (
    Aborted,
    Applied,
    Back,
    Drain,
    Drained,
    Finish,
    Happening,
    LookAtGate,
    Looked,
    Lost,
    Pause,
    RefusedBy,
    ReleaseWave,
    Resumed,
    Rollout,
    Staged,
    Tick,
    step,
)
from .view import View

logger = logging.getLogger(__name__)

UNICAST_AFTER: Final = (0.3, 3.0, 10.0)
"""Seconds after which whoever has not staged is sent the state once more, directly."""
RELEASE_AGAIN: Final = 3.0
EVENT_PATIENCE: Final = 2.0
LOOK_AGAIN: Final = 0.1

Note = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class HostProgress:
    """How far one host is. `steps` None: it has applied before this master started, and what is not known."""

    state: str = "waiting"
    steps: tuple[Step, ...] | None = ()
    seconds: float | None = None
    problem: str = ""
    command: int = 0
    released_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Means:
    """What every push works with."""

    dispatch: Dispatch
    generations: Generations
    view: View
    report: Callable[[Data, str], None]


class Push:
    """`over` is called once, when it has ended; `tell` is called with notes for those who watch.

    `changed` are the hosts that get a role by this push: what is broadcast to that role does not reach them yet.
    """

    def __init__(
        self,
        cluster: str,
        generation: int,
        course: Course,
        rollout: Rollout,
        means: Means,
        gatekeeper: Gatekeeper,
        tell: Note,
        over: Callable[[Push, Finish], None],
        changed: AbstractSet[str] = frozenset(),
    ) -> None:
        self.cluster, self.generation, self.course, self.rollout = cluster, generation, course, rollout
        self._dispatch, self._generations, self._view = means.dispatch, means.generations, means.view
        self._report, self._gatekeeper, self._watchers, self._over = means.report, gatekeeper, tell, over
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self.hosts = {host: HostProgress() for host in rollout.hosts}
        self.waiting: tuple[str, ...] = ()
        self.left: int | None = None
        self.kept = False
        self._newcomers = frozenset(h for h in self.hosts if h in changed or not self._view.holding(h, cluster).staged)
        self._timers = [self._loop.call_later(seconds, self._send_again) for seconds in UNICAST_AFTER]
        self._alarm: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Send the states out: broadcast, and directly to those who do not subscribe to this cluster yet."""
        self._tell("staging", hosts=sorted(self.hosts), waves=[list(wave.hosts) for wave in self.rollout.waves])
        if len(self._newcomers) < len(self.hosts):
            self._dispatch.states(self.cluster, self.generation)
        self._send_states(self._newcomers)
        self._feed(Tick())

    def end(self) -> None:
        """Stop all timers: it is over, or the master stops, and goes on with it when it starts again."""
        for timer in (*self._timers, self._alarm, self._looking):
            if timer is not None:
                timer.cancel()

    # --- what happens ---------------------------------------------------------------------------------------------

    def staged(self, host: str, generation: int, steps: tuple[Step, ...]) -> None:
        if generation == self.generation and host in self.hosts and host not in self.rollout.staged:
            self._progress(host, "staged", steps)
            self._feed(Staged(host))

    def applied(self, host: str, generation: int, steps: tuple[Step, ...] | None) -> None:
        if generation == self.generation and host in self.hosts and host not in self.rollout.applied:
            self._progress(host, "applied", steps)
            self._feed(Applied(host))

    def refused(self, host: str, generation: int, phase: str, reason: str) -> None:
        if generation == self.generation and host in self.hosts:
            problem = f"{phase}: {reason}"
            self.hosts[host].state, self.hosts[host].problem = "refused", problem
            self._tell("refused", host, error=problem)
            self._feed(RefusedBy(host, problem))

    def lost(self, host: str) -> None:
        """A host's lease ran out."""
        if host in self.hosts and host not in self.rollout.lost:
            self._tell("lost", host)
            self._feed(Lost(host))

    def resumed(self, by: str) -> bool:
        """Go on after a pause; False if it does not wait for anybody."""
        if not self.paused:
            return False
        self._report(PushPaused(self.generation, self.rollout.released, True, by), self.cluster)
        self._tell("resumed")
        self._feed(Resumed())
        return True

    @property
    def paused(self) -> bool:
        """Whether it waits for an operator."""
        return self.rollout.phase == "paused"

    @property
    def present(self) -> int:
        """The number of the wave that is on its way, or comes first."""
        return max(self.rollout.released, 1)

    def pause(self) -> None:
        """Wait for an operator behind the present wave; its `course` says so from now on."""
        self.course = msgspec.structs.replace(self.course, pauses=(*self.course.pauses, self.present))
        self.rollout = msgspec.structs.replace(self.rollout, pauses=self.rollout.pauses | {self.present})

    def reordered(self, course: Course) -> None:
        """Go on in another order; what was released is the same."""
        self.course = course
        self.rollout = msgspec.structs.replace(self.rollout, waves=course.waves, pauses=course.stops)

    def abort(self, *, keep: bool) -> None:
        """End it now, wherever it is; `keep`: nothing is taken back."""
        self.kept = keep
        self._feed(Aborted())

    def heard(self, host: str, holding: Holding, *, hello: bool) -> None:
        """A host said what it holds (`hello`: because it has just connected, or misses something): make up for that."""
        progress = self.hosts.get(host)
        if progress is None or self.rollout.over:
            return
        if host in self.rollout.lost:
            self._feed(Back(host))
        if holding.applied == self.generation:
            # Its event says more, and is on its way, unless it was journalled before the master was restarted.
            if self._loop.time() - progress.released_at > EVENT_PATIENCE:
                self.applied(host, self.generation, progress.steps or None)
        elif host not in self.rollout.staged:
            if hello:
                self._send_states((host,))
        elif host in self.rollout.may_apply and host not in self.rollout.applied:
            self._release_again(host)

    def _release_again(self, host: str) -> None:
        """By time alone: the number of a later command does not show that this one came. Repeating it is harmless."""
        if self._loop.time() - self.hosts[host].released_at > RELEASE_AGAIN:
            logger.info("%s is released to generation %d of %s once more", host, self.generation, self.cluster)
            self._release_directly(host)

    # --- what is to be done ---------------------------------------------------------------------------------------

    def _feed(self, happening: Happening) -> None:
        self.rollout, instructions = step(self.rollout, happening, self._loop.time())
        try:
            for instruction in instructions:
                match instruction:
                    case ReleaseWave():
                        self._release(instruction)
                    case LookAtGate():
                        self.waiting = ()
                        self._look()
                    case Pause():
                        self._pause(instruction)
                    case Drain():
                        self._count()
                    case Finish():
                        self._finish(instruction)
        finally:
            # Whatever fails here, such as a full disk: time goes on.
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        wakes = self.rollout.wakes
        self._alarm = None if wakes is None else self._loop.call_at(wakes + 0.001, self._feed, Tick())

    def _release(self, wave: ReleaseWave) -> None:
        self._report(PushWave(self.generation, wave.number, wave.purpose, wave.hosts), self.cluster)
        if not wave.hosts:
            pass
        elif self._newcomers:
            # Whether a newcomer's subscription is in force yet cannot be known here.
            for host in wave.hosts:
                self._release_directly(host)
        else:
            command = self._dispatch.release(self.cluster, self.generation, wave.hosts)
            for host in wave.hosts:
                self.hosts[host].command, self.hosts[host].released_at = command, self._loop.time()
        for host in wave.hosts:
            self.hosts[host].state = "released"
            self._tell("released", host, wave=wave.number, purpose=wave.purpose)
        if wave.last:
            self._generations.set_released(self.cluster, self.generation)

    def _release_directly(self, host: str) -> None:
        self.hosts[host].command = self._dispatch.release_to(host, self.cluster, self.generation)
        self.hosts[host].released_at = self._loop.time()

    def _send_states(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            self._dispatch.states_to(host, self.cluster, self.generation)

    def _send_again(self) -> None:
        if self.rollout.phase == "staging":
            self._send_states(set(self.hosts) - self.rollout.staged - self.rollout.refused.keys())

    def _look(self) -> None:
        """Look at the gate, and again until it can be told."""
        if self.rollout.phase != "gating":
            return
        elapsed = self._loop.time() - self.rollout.since
        steps = [host for host in self.rollout.applied if self.hosts[host].steps is None or self.hosts[host].steps]
        judged = self._gatekeeper.judge(self.rollout.wave, self.rollout.applied, steps, elapsed)
        if judged.problems:
            self._report(PushGate(self.generation, self.rollout.released, judged.problems), self.cluster)
            self._tell("gate", wave=self.rollout.released, problems=judged.problems)
        elif judged.waiting:
            if judged.waiting != self.waiting:
                self._tell("watching", wave=self.rollout.released, waiting=judged.waiting)
            self._looking = self._loop.call_later(LOOK_AGAIN, self._look)
        self.waiting = judged.waiting
        self._feed(Looked(judged.problems, judged.waiting))

    def _pause(self, pause: Pause) -> None:
        self._report(PushPaused(self.generation, pause.number, False, ""), self.cluster)
        self._tell("paused", wave=pause.number)

    def _count(self) -> None:
        """Count the connections of what leaves, and again until there are none."""
        if self.rollout.phase != "draining":
            return
        try:
            left = self._gatekeeper.left(self.course.states_after() or {})
        except StateError:
            left = 0
        if left is not None and left != self.left:
            self._tell("draining", left=left)
            self.left = left
        if left == 0:
            self._feed(Drained())
        else:
            self._looking = self._loop.call_later(LOOK_AGAIN, self._count)

    def _finish(self, finish: Finish) -> None:
        self.end()
        for host, problem in finish.problems.items():
            self.hosts[host].problem = self.hosts[host].problem or self._more(host, problem)
        self._over(self, finish)

    @property
    def problems(self) -> dict[str, str]:
        """Host -> what went wrong there."""
        return {host: progress.problem for host, progress in self.hosts.items() if progress.problem}

    def _more(self, host: str, problem: str) -> str:
        if self._view.is_there(host):
            return problem
        silent = self._view.silent(host, self._loop.time())
        return f"{problem}; " + ("it has not been heard of" if silent is None else f"not heard of for {silent:.0f} s")

    # --- who watches ----------------------------------------------------------------------------------------------

    def _progress(self, host: str, state: str, steps: tuple[Step, ...] | None) -> None:
        progress = self.hosts[host]
        progress.state, progress.steps, progress.seconds, progress.problem = state, steps, self.seconds, ""
        self._tell(state, host, steps=steps or ())

    @property
    def seconds(self) -> float:
        """Since it began, in this life of the master."""
        return round(self._loop.time() - self._started, 4)

    def _tell(self, phase: str, host: str = "", **more: Any) -> None:  # noqa: ANN401 - JSON
        note = {"phase": phase, "generation": self.generation, "seconds": self.seconds, **more}
        if host:
            note["host"] = host
        self._watchers(note)
