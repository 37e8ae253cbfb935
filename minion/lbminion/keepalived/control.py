"""The door to this host's keepalived: look at it, put it into a state, hear what happens to it.

Ties the parts together and keeps the rule about ends (ends.py); what keepalived shall be, when to heal and what to tell
the master is the reconciler's business. One task uses it at a time; what it tells comes from the same event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from lbminion.errors import HostError
from lbminion.netlink.addresses import Addresses
from lbstates.keepalived_steps import reload_steps
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import Keepalived

from . import config_file, dump, marks
from .config_file import Finding
from .dump import InstanceDump
from .ends import End, judge
from .errors import DumpFailed, FifoBlocked, KeepalivedError, StopFailed
from .fifo import BadLine, Fifo, FifoLine, Line
from .manager import STOP_SECONDS, Manager, clear_remains
from .observation import observe
from .paths import KeepalivedPaths
from .presumption import presumed_masters
from .process import Process, find, named_by
from .reload import reload
from .transitions import InstanceStates, Transition, said_stop, says_state
from .waiting import until
from .watch import DeathWatch

logger = logging.getLogger(__name__)

_DUMPS_AT_ONCE: Final = 3
_AGAIN_SECONDS: Final = 5.0


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


async def _read_addresses() -> Collection[Address]:
    async with Addresses() as addresses:
        return (await addresses.dump()).values()


class Control:
    """One keepalived: the one of `paths`."""

    def __init__(
        self,
        paths: KeepalivedPaths,
        manager: Manager,
        tell: Callable[[Occurrence], None],
        addresses: Callable[[], Awaitable[Collection[Address]]] = _read_addresses,
    ) -> None:
        """`tell` gets everything that happens, in order, from the event loop; it must not block.

        `addresses` reads those of this host; asked for when keepalived cannot say what its instances are.
        """
        self._paths = paths
        self._manager = manager
        self._tell = tell
        self._addresses = addresses
        self._fifo = Fifo(paths.fifo, self._heard)
        self._watch = DeathWatch(self._ended)
        self._states = InstanceStates()
        self._news = 0
        self._asking = asyncio.Lock()
        self._unsure = ""
        self._later: asyncio.Task[None] | None = None
        self._stop_said = False
        self._listening = False
        self._changing = False
        self._concluding = False

    async def open(self) -> None:
        """Adopt what there is: a keepalived that runs goes on untouched, and one that ended meanwhile is told of.

        One that cannot tell what its instances are is asked again until it can; meanwhile the director that has the VIPs
        of an instance counts as its MASTER. Raises `FifoBlocked`, `KeepalivedMissing`, `OSError`.
        """
        self._fifo.open()
        process = find(self._paths)
        if process is not None:
            marks.release(self._paths)
            self._adopt(process)
            if await self.look() is None:
                await self._presume()
            return
        last = marks.last_loaded(self._paths)
        if last is not None and not self.held:
            self._conclude(Process(last.pid, last.started), stop_said=None)

    def close(self) -> None:
        """Stop watching and listening; keepalived itself goes on."""
        if self._later is not None:
            self._later.cancel()
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

    @property
    def runs(self) -> bool:
        """Whether keepalived lives: also one whose pid file is gone. Raises `OSError`."""
        return (self._find() or self._watch.process) is not None

    def observe(self) -> Keepalived | None:
        """Read what is: None when there is neither a file nor a process. Raises `OSError`.

        One that is on its way out still runs: whether somebody stopped it, or it died, is known when it has ended.
        """
        return observe(self._paths, self._find() or self._watch.process)

    async def look(self) -> dict[str, InstanceDump] | None:
        """Ask keepalived what its instances are (None: it does not run, or cannot tell), and tell what we had missed.

        One that could not tell is asked again every few seconds. Raises `FifoBlocked`, `KeepalivedMissing`, `OSError`.
        """
        process = self._find()
        if process is None:
            return None
        try:
            seen = await self._ask(process)
        except (DumpFailed, ProcessLookupError) as error:
            if str(error) != self._unsure:
                logger.warning("the state of the instances is unknown: %s", error)
            self._ask_later(str(error))
            return None
        self._unsure = ""
        return seen

    async def _ask(self, process: Process) -> dict[str, InstanceDump] | None:
        """Take up a dump during which nothing happened: it may be of before that, and would overrule what is newer."""
        async with self._asking:
            for _ in range(_DUMPS_AT_ONCE):
                if process != self._watch.process:
                    raise ProcessLookupError(f"keepalived (pid {process.pid}) has ended")
                self._fifo.drain()
                news = self._news
                seen = await dump.read(process, self._paths)
                self._fifo.ensure()  # an operator's reload may have replaced it
                self._fifo.drain()
                if news == self._news:
                    self._learn(seen)
                    return seen
        raise DumpFailed(f"instances changed during each of {_DUMPS_AT_ONCE} dumps of keepalived (pid {process.pid})")

    def _ask_later(self, why: str) -> None:
        self._unsure = why
        if self._later is None or self._later.done():
            self._later = asyncio.get_running_loop().create_task(self._look_again(), name="keepalived's dump")

    async def _look_again(self) -> None:
        """Look until keepalived has told what its instances are, or is gone: the next one tells it by the FIFO."""
        while self._unsure and self._watch.process is not None:
            await asyncio.sleep(_AGAIN_SECONDS)
            if self._changing:  # what is being started or stopped is for whoever does it
                continue
            try:
                await self.look()
            except (KeepalivedError, OSError) as error:
                logger.warning("keepalived cannot be asked what its instances are: %s", error)

    async def _presume(self) -> None:
        """Take whoever has the VIPs for the MASTER. Otherwise a director that balances would be treated as a backup."""
        try:
            present = await self._addresses()
        except (HostError, OSError) as error:
            logger.warning("whether this host is MASTER is unknown: %s", error)
            return
        self._fifo.drain()  # what keepalived itself says comes first
        if self._watch.process is None:
            return
        lines = presumed_masters(config_file.read(self._paths), present, self._states.states.keys())
        for line in lines:
            logger.warning("%s counts as MASTER, since its VIPs are on this host", line.name)
        self._heard(lines)

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
        process = await self._settled()
        if process is not None:
            try:
                for step in reload_steps(before, text):
                    await self._load(process, step)
            except ProcessLookupError:
                self._watch.settle()
                logger.warning("keepalived (pid %d) ended while it was told to reload; starting it", process.pid)
                config_file.replace(text, self._paths)
            else:
                return "reloaded"
        if self.held:
            return "held"
        for pid in await clear_remains(self._paths):
            logger.warning("killed pid %d, which a dead keepalived had left", pid)
        if self._find() is not None:  # somebody else was quicker
            return await self._run(before, text)
        self._fifo.drain()
        process = await self._manager.start(self._paths)
        marks.record_loaded(self._paths, process, text)
        self._adopt(process)
        return "started"

    async def _load(self, process: Process, text: str) -> None:
        config_file.replace(text, self._paths)
        async with self._asking:
            self._fifo.drain()
            news = self._news
            seen = await reload(process, self._paths)
        marks.record_loaded(self._paths, process, text)
        self._fifo.follow()
        if news == self._news:
            self._learn(seen)
        else:
            await self.look()

    async def _stop(self) -> Action:
        process = await self._settled()
        marks.release(self._paths)
        self._watch.cancel()  # an end that we bring about is no occurrence
        if process is not None:
            await self._manager.stop(self._paths)
        marks.forget_loaded(self._paths)
        return "none" if process is None else "stopped"

    def _find(self) -> Process | None:
        """Find the process, and notice one that somebody else started."""
        process = find(self._paths)
        if process != self._watch.process:
            self._watch.settle()
        if process is not None and process != self._watch.process:
            self._adopt(process)
            self._tell(Appeared(process.pid, cleared_hold=marks.release(self._paths)))
        return process

    async def _settled(self) -> Process | None:
        """Find the process; one that has taken its pid file away, but still lives, is waited for. Raises `StopFailed`."""
        process = self._find()
        leaving = self._watch.process
        if process is None and leaving is not None:
            if not await until(lambda: self._watch.process is None, STOP_SECONDS):
                raise StopFailed(
                    f"keepalived (pid {leaving.pid}) runs without its pid file {self._paths.pid}, and has not ended within "
                    f"{STOP_SECONDS:.0f} s: `systemctl restart keepalived`"
                )
            process = self._find()
        return process

    def _adopt(self, process: Process) -> None:
        text = config_file.read(self._paths)
        marks.settle(self._paths, process, text)
        self._stop_said = False
        self._listening = str(self._paths.fifo) in text
        self._watch.watch(process)

    def _learn(self, seen: dict[str, InstanceDump] | None) -> None:
        if seen is None:
            return
        now = {name: (instance.state, instance.priority) for name, instance in seen.items()}
        self._states, missed = self._states.after_dump(now)
        for transition in missed:
            self._tell(transition)

    def _heard(self, lines: Sequence[Line]) -> None:
        if self._watch.process is None and not (self._changing or self._concluding):
            self._find()
        self._stop_said = self._stop_said or said_stop(line for line in lines if isinstance(line, FifoLine))
        for line in lines:
            if isinstance(line, BadLine):
                self._tell(line)
                continue
            self._news += says_state(line)
            self._states, transition = self._states.after(line)
            if transition is not None:
                self._tell(transition)

    def _ended(self, process: Process) -> None:
        # What is read now may come from the next one already: first what this end was, then that start.
        self._concluding = True
        try:
            self._fifo.drain()
            # A FIFO that keepalived had made goes with it. With ours in its place the next one makes none of its own.
            self._fifo.ensure()
        except (FifoBlocked, OSError) as error:
            logger.warning("transitions are not heard: %s", error)
        finally:
            self._concluding = False
        self._conclude(process, stop_said=self._stop_said if self._listening else None)
        if not self._changing and self._find() is not None:
            # The first lines of this one may have been forgotten with the other's end.
            self._ask_later("another keepalived runs already")

    def _conclude(self, process: Process, *, stop_said: bool | None) -> None:
        self._news += 1
        end = judge(pid_file_left=named_by(self._paths.pid) == process.pid, stop_said=stop_said)
        if end is End.STOPPED:
            marks.hold(self._paths)
        else:
            self._states = self._states.after_death()
        marks.forget_loaded(self._paths)
        self._tell(Ended(end, process.pid))
