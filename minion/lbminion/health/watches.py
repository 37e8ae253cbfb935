"""When a target is probed: again and again, never all at once, and as soon as somebody asks for it. Judges nothing.

Two probes of a target never begin further apart than its interval, so that a failure is found within interval x fall +
timeout; they begin up to a tenth earlier, by chance, so that targets never fall into step.
"""

from __future__ import annotations

import asyncio
import logging
import random
import resource
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from lbstates.checks import Check

from .outcome import CannotProbe, Outcome, ProbeFailed, Target
from .probes import Ask

logger = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 1000
"""Probes under way, each with a descriptor; more of them wait for their turn."""
_FILES: Final = 4 * MOST_AT_ONCE
_JITTER: Final = 0.1
_GRAIN: Final = 0.01
"""Seconds: probes begin at multiples of it, so that a few share one awakening of this process."""
_LATE: Final = 0.05
"""Seconds: when the event loop notices the end of a timeout later than that, it had something else to do meanwhile."""
_MOST_EXTENSIONS: Final = 3
"""Of one probe: on a host that is always late a dead real server has to be found, too."""


class Probe(NamedTuple):
    """What is asked, and how: two services that ask the same share it."""

    target: Target
    check: Check


Heard = Callable[[Probe, Outcome, float], None]
"""Told of every probe that ended: what came of it, and when it began (seconds of the event loop's clock)."""
Unable = Callable[[Probe, str], None]
"""Told of every probe that this host could not make, and why."""


class Watches:
    """The targets that are probed. Times are those of the running event loop."""

    def __init__(self, ask: Ask, heard: Heard, unable: Unable, most_at_once: int = MOST_AT_ONCE) -> None:
        self._ask, self._heard, self._unable, self._most = ask, heard, unable, most_at_once
        self._watches: dict[Probe, _Watch] = {}
        self._turns: deque[_Watch] = deque()
        self._running = 0
        self._obstacle = ""

    def follow(self, probes: Iterable[Probe]) -> None:
        """Probe just these from now on: new ones at once (spread over a moment), the others as before."""
        wanted = dict.fromkeys(probes)
        for gone in self._watches.keys() - wanted.keys():
            self._watches.pop(gone).end()
        new = [probe for probe in wanted if probe not in self._watches]
        for probe in new:
            watch = self._watches[probe] = _Watch(self, probe)
            watch.begin(_first_after(probe, len(new)))

    def hurry(self, probe: Probe) -> None:
        """Probe this one now, if it is not being probed."""
        if watch := self._watches.get(probe):
            watch.begin(0.0)

    def close(self) -> None:
        """Probe nothing any more."""
        self.follow(())
        self._turns.clear()

    # --- for the watches ------------------------------------------------------------------------------------------

    def turn(self, watch: _Watch) -> None:
        """Let a watch probe, now or when one of the others has ended."""
        if self._running >= self._most:
            self._turns.append(watch)
        else:
            self._start(watch)

    def _start(self, watch: _Watch) -> None:
        self._running += 1
        watch.task = asyncio.get_running_loop().create_task(self._probe(watch), name="probe")
        watch.task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Give the place to the next one, also of a probe that was ended before it began."""
        self._running -= 1
        while self._turns and self._running < self._most:
            waiting = self._turns.popleft()
            if not waiting.ended:
                self._start(waiting)
        if not task.cancelled() and (bug := task.exception()) is not None:
            logger.error("what a probe found cannot be judged", exc_info=bug)

    async def _probe(self, watch: _Watch) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        watch.limit(began + watch.probe.check.timeout)
        outcome: Outcome | None = None
        unable = ""
        try:
            outcome = await self._ask(*watch.probe)
        except ProbeFailed as failure:
            outcome = Outcome(False, str(failure))
        except CannotProbe as obstacle:
            unable = str(obstacle)
            self._note(unable)
        except asyncio.CancelledError:
            if not watch.timed_out:
                raise
            outcome = Outcome(False, f"no answer within {watch.probe.check.timeout:g} s")
        except Exception as bug:
            # Whatever a real server answers, the others go on being watched.
            logger.exception("the probe of %s cannot go on", watch.probe.target)
            outcome = Outcome(False, f"a bug of the probe: {type(bug).__name__}")
        finally:
            self._next(watch, began)
        if outcome is not None and not watch.ended:
            self._heard(watch.probe, outcome, began)
        elif unable and not watch.ended:
            self._unable(watch.probe, unable)

    def _next(self, watch: _Watch, began: float) -> None:
        watch.unlimit()
        watch.task = None
        if not watch.ended:
            interval = watch.probe.check.interval * (1 - _JITTER * random.random())  # noqa: S311 - no secret
            watch.begin(began + interval - asyncio.get_running_loop().time())

    def _note(self, obstacle: str) -> None:
        if obstacle != self._obstacle:
            logger.error("a probe cannot be made: %s; its real server keeps its verdict", obstacle)
        self._obstacle = obstacle


def make_room() -> None:
    """Let this process have as many open files as all probes at once need, if its host lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Watch:
    """One target: waits for its time, for its turn, or for an answer."""

    __slots__ = ("_extensions", "_limit", "_timer", "_watches", "ended", "probe", "task", "timed_out", "waits")

    def __init__(self, watches: Watches, probe: Probe) -> None:
        self._watches, self.probe = watches, probe
        self.task: asyncio.Task[None] | None = None
        self.timed_out, self.ended, self.waits = False, False, False
        self._extensions = 0
        self._timer: asyncio.TimerHandle | None = None
        self._limit: asyncio.TimerHandle | None = None

    def begin(self, after: float) -> None:
        """Probe in so many seconds, unless that is under way or about to be."""
        if self.task is not None or self.waits:
            return
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(loop.time() + after if after < _GRAIN else _down(loop.time() + after), self._begin)

    def _begin(self) -> None:
        self._timer, self.waits = None, True
        self._watches.turn(self)

    def limit(self, until: float) -> None:
        """End the probe at this time."""
        self.waits, self.timed_out, self._extensions = False, False, 0
        self._limit = asyncio.get_running_loop().call_at(until, self._expire, until)

    def unlimit(self) -> None:
        """The probe has ended by itself."""
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _expire(self, until: float) -> None:
        """Give up, but not when it was this process that took the time: then the answer may be there, unread."""
        now = asyncio.get_running_loop().time()
        if now - until > _LATE and self._extensions < _MOST_EXTENSIONS:
            self._extensions += 1
            again = now + min(now - until, self.probe.check.timeout)
            self._limit = asyncio.get_running_loop().call_at(again, self._expire, again)
            return
        self.timed_out = True
        if self.task is not None:
            self.task.cancel()

    def end(self) -> None:
        """Stop it, whatever it does."""
        self.ended = True
        self.unlimit()
        if self._timer is not None:
            self._timer.cancel()
        if self.task is not None:
            self.task.cancel()


def _down(when: float) -> float:
    return when // _GRAIN * _GRAIN


def _first_after(probe: Probe, many: int) -> float:
    """Seconds until the first probe of one of `many` new targets: spread over up to an interval, one alone at once.

    Weights wait for it, so a small pool is asked within a moment.
    """
    spread = min(probe.check.interval, many / 500)
    return spread * random.random()  # noqa: S311 - no secret
