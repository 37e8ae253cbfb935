"""The door to this host's keepalived: look at it, put it into a state, hear what happens to it.

Ties the parts together and keeps the rule about ends (ends.py); what keepalived shall be, when to heal and what to tell
the master is the reconciler's business. One task uses it at a time; what it tells comes from the same event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lbstates.keepalived_steps import reload_steps
from lbstates.kinds.keepalived import Keepalived

from . import config_file, dump, marks
from .config_file import Finding
from .dump import InstanceDump
from .ends import End, judge
from .errors import DumpFailed, FifoBlocked
from .fifo import BadLine, Fifo, FifoLine, Line
from .manager import Manager, clear_remains
from .observation import observe
from .paths import KeepalivedPaths
from .process import Process, find, named_by
from .reload import reload
from .transitions import InstanceStates, Transition, said_stop
from .watch import DeathWatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """keepalived is gone, and not because we stopped it. STOPPED is held from now on; DIED is to be healed at once."""

    end: End
    pid: int


@dataclass(frozen=True, slots=True)
class Appeared:
    """Somebody else started keepalived; `cleared_hold`: an operator had stopped it before."""

    pid: int
    cleared_hold: bool


Action: TypeAlias = Literal["none", "started", "reloaded", "stopped", "held"]
Occurrence: TypeAlias = Transition | Ended | Appeared | BadLine


@dataclass(frozen=True, slots=True)
class PutReport:
    """What `put` did. `held`: the file is as desired, but an operator's stop is respected."""

    action: Action
    backup: Path | None = None
    findings: tuple[Finding, ...] = ()


class Control:
    """One keepalived: the one of `paths`."""

    def __init__(self, paths: KeepalivedPaths, manager: Manager, tell: Callable[[Occurrence], None]) -> None:
        """`tell` gets everything that happens, in order, from the event loop; it must not block."""
        self._paths = paths
        self._manager = manager
        self._tell = tell
        self._fifo = Fifo(paths.fifo, self._heard)
        self._watch = DeathWatch(self._ended)
        self._states = InstanceStates()
        self._stop_said = False
        self._listening = False
        self._changing = False

    async def open(self) -> None:
        """Adopt what there is: a keepalived that runs goes on untouched, and one that ended meanwhile is told of.

        Raises `FifoBlocked`, `KeepalivedMissing`, `OSError`.
        """
        self._fifo.open()
        process = find(self._paths)
        if process is not None:
            marks.release(self._paths)
            self._adopt(process)
            await self.look()
            return
        last = marks.last_loaded(self._paths)
        if last is not None and not self.held:
            self._conclude(Process(last.pid, last.started), stop_said=None)

    def close(self) -> None:
        """Stop watching and listening; keepalived itself goes on."""
        self._watch.cancel()
        self._fifo.close()

    @property
    def held(self) -> bool:
        """An operator stopped keepalived in this boot: whatever a plan says, `put` will not start it."""
        return marks.held(self._paths)

    def release_hold(self) -> bool:
        """A push overrules the operator's stop. Returns whether there was one."""
        return marks.release(self._paths)

    @property
    def states(self) -> InstanceStates:
        """What every instance is, as far as it is known."""
        return self._states

    def observe(self) -> Keepalived | None:
        """Read what is: None when there is neither a file nor a process. Raises `OSError`."""
        self._find()
        return observe(self._paths)

    async def look(self) -> dict[str, InstanceDump] | None:
        """Ask keepalived what its instances are (None: it does not run, or cannot tell), and tell what we had missed.

        Raises `FifoBlocked`, `OSError`.
        """
        process = self._find()
        if process is None:
            return None
        try:
            seen = await dump.read(process, self._paths)
        except (DumpFailed, ProcessLookupError) as error:
            logger.warning("the state of the instances is unknown: %s", error)
            return None
        self._fifo.ensure()  # an operator's reload may have replaced it
        self._learn(seen)
        return seen

    async def put(self, desired: Keepalived) -> PutReport:
        """Make it so: test, replace the file, start, reload or stop; all that is needed and no more.

        A text that is not lbmaster's (put back when the host is given up) is taken as it is. Raises `KeepalivedError` of
        all kinds (the text of each says what is now) and `OSError`.
        """
        observed = self.observe()
        before = "" if observed is None else observed.config
        findings: tuple[Finding, ...] = ()
        if before != desired.config and config_file.is_ours(desired.config):
            findings = await config_file.check(desired.config, self._paths)
        backup = config_file.replace(desired.config, self._paths).backup
        if observed == desired:
            return PutReport("none")
        self._changing = True
        try:
            action = await (self._run(before, desired.config) if desired.running else self._stop())
        finally:
            self._changing = False
        return PutReport(action, backup, findings)

    async def remove(self) -> PutReport:
        """Stop keepalived and take the file away (a foreign one is kept beside it). Raises as `put`."""
        return await self.put(Keepalived("", running=False))

    async def _run(self, before: str, text: str) -> Action:
        self._fifo.ensure()
        process = self._find()
        if process is not None:
            try:
                for step in reload_steps(before, text):
                    await self._load(process, step)
            except ProcessLookupError:
                logger.warning("keepalived (pid %d) ended while it was told to reload; starting it", process.pid)
                config_file.replace(text, self._paths)
            else:
                return "reloaded"
        if self.held:
            return "held"
        for pid in await clear_remains(self._paths):
            logger.warning("killed pid %d, which a dead keepalived had left", pid)
        self._fifo.drain()
        process = await self._manager.start(self._paths)
        marks.record_loaded(self._paths, process, text)
        self._adopt(process)
        return "started"

    async def _load(self, process: Process, text: str) -> None:
        config_file.replace(text, self._paths)
        seen = await reload(process, self._paths)
        marks.record_loaded(self._paths, process, text)
        self._fifo.follow()
        self._learn(seen)

    async def _stop(self) -> Action:
        process = self._find()
        marks.release(self._paths)
        self._watch.cancel()  # an end that we bring about is no occurrence
        if process is not None:
            await self._manager.stop(self._paths)
        marks.forget_loaded(self._paths)
        return "none" if process is None else "stopped"

    def _find(self) -> Process | None:
        """Find the process, and notice one that somebody else started."""
        process = find(self._paths)
        if process is not None and process != self._watch.process:
            self._adopt(process)
            self._tell(Appeared(process.pid, cleared_hold=marks.release(self._paths)))
        return process

    def _adopt(self, process: Process) -> None:
        self._stop_said = False
        self._listening = str(self._paths.fifo) in config_file.read(self._paths)
        self._watch.watch(process)

    def _learn(self, seen: dict[str, InstanceDump] | None) -> None:
        if seen is None:
            return
        self._fifo.drain()  # what was said before the dump was written comes first
        now = {name: (instance.state, instance.priority) for name, instance in seen.items()}
        self._states, missed = self._states.after_dump(now)
        for transition in missed:
            self._tell(transition)

    def _heard(self, lines: Sequence[Line]) -> None:
        if self._watch.process is None and not self._changing:
            self._find()
        self._stop_said = self._stop_said or said_stop(line for line in lines if isinstance(line, FifoLine))
        for line in lines:
            if isinstance(line, BadLine):
                self._tell(line)
                continue
            self._states, transition = self._states.after(line)
            if transition is not None:
                self._tell(transition)

    def _ended(self, process: Process) -> None:
        self._fifo.drain()
        try:
            # A FIFO that keepalived had made goes with it. With ours in its place the next one makes none of its own.
            self._fifo.ensure()
        except (FifoBlocked, OSError) as error:
            logger.warning("transitions are not heard: %s", error)
        self._conclude(process, stop_said=self._stop_said if self._listening else None)
        if not self._changing:
            self._find()

    def _conclude(self, process: Process, *, stop_said: bool | None) -> None:
        end = judge(pid_file_left=named_by(self._paths.pid) == process.pid, stop_said=stop_said)
        if end is End.STOPPED:
            marks.hold(self._paths)
        else:
            self._states = self._states.after_death()
        marks.forget_loaded(self._paths)
        self._tell(Ended(end, process.pid))
