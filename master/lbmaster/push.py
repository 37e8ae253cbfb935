"""One push under way: carries out what the rollout decides, and tells whoever watches.

The rules of a rollout are in `rollout`, the order of hosts in `waves`. A push belongs to the master, not to the
command line that asked for it: it goes on when nobody watches any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from lbwire.events import PushFinished
from lbwire.messages import Holding, Step

from .dispatch import Dispatch
from .generations import Generations
from .rollout import Applied, Finish, Happening, RefusedBy, ReleaseWave, Rollout, Staged, Tick, step
from .view import View

logger = logging.getLogger(__name__)

UNICAST_AFTER: Final = (0.3, 3.0, 10.0)
"""Seconds after which whoever has not staged is sent the state once more, directly."""
RELEASE_AGAIN: Final = 3.0
EVENT_PATIENCE: Final = 2.0

Note = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class HostProgress:
    """How far one host is."""

    state: str = "waiting"
    steps: tuple[Step, ...] = ()
    seconds: float | None = None
    problem: str = ""
    command: int = 0
    released_at: float = 0.0


@dataclass
class Push:
    """`result` is done when the push is over. `notes` are those who watch.

    `changed` are the hosts that get a role by this push: what is broadcast to that role does not reach them yet.
    """

    cluster: str
    generation: int
    rollout: Rollout
    dispatch: Dispatch
    generations: Generations
    view: View
    report: Callable[[PushFinished], None]
    changed: AbstractSet[str] = frozenset()
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self.hosts = {host: HostProgress() for host in self.rollout.hosts}
        self.result: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._newcomers = frozenset(
            h for h in self.hosts if h in self.changed or not self.view.holding(h, self.cluster).staged
        )
        self._timers = [self._loop.call_later(seconds, self._send_again) for seconds in UNICAST_AFTER]
        self._timers.append(self._loop.call_at(self.rollout.deadline, self._tick))

    def begin(self) -> None:
        """Send the states out: broadcast, and directly to those who do not subscribe to this cluster yet."""
        self._tell("staging", hosts=sorted(self.hosts))
        if len(self._newcomers) < len(self.hosts):
            self.dispatch.states(self.cluster, self.generation)
        self._send_states(self._newcomers)

    def end(self) -> None:
        """The master stops; the push is resumed when it starts again."""
        for timer in self._timers:
            timer.cancel()
        self.result.cancel()

    # --- what happens ---------------------------------------------------------------------------------------------

    def staged(self, host: str, generation: int, steps: tuple[Step, ...]) -> None:
        if generation == self.generation and host in self.hosts and host not in self.rollout.staged:
            self._progress(host, "staged", steps)
            self._feed(Staged(host))

    def applied(self, host: str, generation: int, steps: tuple[Step, ...]) -> None:
        if generation == self.generation and host in self.hosts and host not in self.rollout.applied:
            self._progress(host, "applied", steps)
            self._feed(Applied(host))

    def refused(self, host: str, generation: int, phase: str, reason: str) -> None:
        if generation == self.generation and host in self.hosts:
            problem = f"{phase}: {reason}"
            self.hosts[host].state, self.hosts[host].problem = "refused", problem
            self._tell("refused", host, error=problem)
            self._feed(RefusedBy(host, problem))

    def heard(self, host: str, holding: Holding, *, hello: bool) -> None:
        """A host said what it holds (`hello`: because it has just connected, or misses something): make up for that."""
        progress = self.hosts.get(host)
        if progress is None or self.rollout.over:
            return
        if holding.applied == self.generation:
            # Its event says more, and is on its way, unless it was journalled before the master was restarted.
            if self._loop.time() - progress.released_at > EVENT_PATIENCE:
                self.applied(host, self.generation, progress.steps)
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
        for instruction in instructions:
            match instruction:
                case ReleaseWave():
                    self._release(instruction)
                case Finish():
                    self._finish(instruction)

    def _tick(self) -> None:
        self._feed(Tick())

    def _release(self, wave: ReleaseWave) -> None:
        if not wave.hosts:
            pass
        elif self._newcomers:
            # Whether a newcomer's subscription is in force yet cannot be known here.
            for host in wave.hosts:
                self._release_directly(host)
        else:
            command = self.dispatch.release(self.cluster, self.generation, wave.hosts)
            for host in wave.hosts:
                self.hosts[host].command, self.hosts[host].released_at = command, self._loop.time()
        for host in wave.hosts:
            self.hosts[host].state = "released"
            self._tell("released", host, wave=wave.number)
        if wave.last:
            self.generations.set_released(self.cluster, self.generation)

    def _release_directly(self, host: str) -> None:
        self.hosts[host].command = self.dispatch.release_to(host, self.cluster, self.generation)
        self.hosts[host].released_at = self._loop.time()

    def _send_states(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            self.dispatch.states_to(host, self.cluster, self.generation)

    def _send_again(self) -> None:
        if self.rollout.phase == "staging":
            self._send_states(set(self.hosts) - self.rollout.staged - self.rollout.refused.keys())

    def _finish(self, finish: Finish) -> None:
        for timer in self._timers:
            timer.cancel()
        seconds = self._seconds()
        for host, problem in finish.problems.items():
            self.hosts[host].problem = self.hosts[host].problem or self._more(host, problem)
        problems = {host: progress.problem for host, progress in self.hosts.items() if progress.problem}
        self.generations.set_status(self.cluster, self.generation, finish.outcome)
        self.report(PushFinished(self.generation, finish.outcome, seconds, problems))
        self._tell(finish.outcome)
        result = {
            "cluster": self.cluster,
            "generation": self.generation,
            "outcome": finish.outcome,
            "seconds": seconds,
            "hosts": {
                host: {"state": it.state, "steps": it.steps, "seconds": it.seconds, "problem": it.problem}
                for host, it in sorted(self.hosts.items())
            },
        }
        if not self.result.done():
            self.result.set_result(result)

    def _more(self, host: str, problem: str) -> str:
        if self.view.is_there(host):
            return problem
        minion = self.view.minions.get(host)
        if minion is None or minion.seen is None:
            return f"{problem}; it has not been heard of"
        return f"{problem}; not heard of for {self._loop.time() - minion.heard:.0f} s"

    # --- who watches ----------------------------------------------------------------------------------------------

    def _progress(self, host: str, state: str, steps: tuple[Step, ...]) -> None:
        progress = self.hosts[host]
        progress.state, progress.steps, progress.seconds, progress.problem = state, steps, self._seconds(), ""
        self._tell(state, host, steps=steps)

    def _seconds(self) -> float:
        return round(self._loop.time() - self._started, 4)

    def _tell(self, phase: str, host: str = "", **more: Any) -> None:  # noqa: ANN401 - JSON
        note = {"phase": phase, "generation": self.generation, "seconds": self._seconds(), **more}
        if host:
            note["host"] = host
        for tell in self.notes:
            tell(note)
