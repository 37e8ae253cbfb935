"""Who starts and stops keepalived: systemd, or (without it) the minion. Reloading is a signal either way.

When to do which is control.py's business.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from lbminion import programs

from .errors import StartFailed, StopFailed
from .paths import KeepalivedPaths
from .process import Process, alive, find, survivors
from .waiting import until

SYSTEMD_RUNS: Final = Path("/run/systemd/system")
_START_SECONDS: Final = 10.0
# keepalived gives its children 5 s to end, then kills them.
STOP_SECONDS: Final = 8.0
_SYSTEMCTL_SECONDS: Final = 30.0
_LOG_SHOWN: Final = 2000


class Manager(Protocol):
    """Both ways of running keepalived; each returns only when it is so."""

    async def start(self, paths: KeepalivedPaths) -> Process:
        """Start keepalived, which must not run. Raises `StartFailed`, `KeepalivedMissing`."""
        ...

    async def stop(self, paths: KeepalivedPaths) -> None:
        """Stop it, if it runs, and wait until it is gone. Raises `StopFailed`."""
        ...


def choose_manager(systemd_runs: Path = SYSTEMD_RUNS) -> Manager:
    """Return the manager of this host: systemd if that is what booted it."""
    return Systemd() if systemd_runs.is_dir() else Child()


class Systemd:
    """The distribution's own unit, so that `systemctl status keepalived` and the journal tell the story as usual."""

    def __init__(self, unit: str = "keepalived.service", systemctl: str = "systemctl") -> None:
        self._unit = unit
        self._systemctl = systemctl

    async def start(self, paths: KeepalivedPaths) -> Process:
        # After some deaths within seconds systemd refuses to start a unit; we have our reasons, so let it forget.
        await self._run("reset-failed", self._unit)
        code, words = await self._run("start", self._unit)
        process = await until(lambda: find(paths), _START_SECONDS if code == 0 else 0)
        if process is None:
            raise StartFailed(
                f"systemctl start {self._unit} ended with {code} and keepalived does not run: "
                f"{words or 'no message'}; see journalctl -u {self._unit}"
            )
        return process

    async def stop(self, paths: KeepalivedPaths) -> None:
        code, words = await self._run("stop", self._unit)
        process = find(paths)
        if process is not None:
            raise StopFailed(f"systemctl stop {self._unit} ended with {code}, pid {process.pid} still runs: {words}")

    async def _run(self, *arguments: str) -> tuple[int, str]:
        try:
            code, output = await programs.run(
                self._systemctl, "--no-ask-password", *arguments, seconds=_SYSTEMCTL_SECONDS
            )
        except FileNotFoundError as error:
            raise StartFailed(f"{self._systemctl} is missing although systemd runs this host") from error
        except TimeoutError:
            return -1, f"systemctl {arguments[0]} gave no answer within {_SYSTEMCTL_SECONDS:.0f} s"
        return code, output.strip()


class Child:
    """keepalived in a session of its own, with all its files in the runtime directory.

    It outlives the minion: the next one finds it by its pid file. Whoever starts it reaps it (watch.py).
    """

    async def start(self, paths: KeepalivedPaths) -> Process:
        pid = self._spawn(paths)
        process = await until(lambda: _ready(pid, paths), _START_SECONDS)
        if process is None:
            self._give_up(pid)
        if not isinstance(process, Process):
            raise StartFailed(f"{paths.executable()} did not come up: {_last_words(paths.log)}; see {paths.log}")
        return process

    async def stop(self, paths: KeepalivedPaths) -> None:
        process = find(paths)
        if process is None:
            return
        os.kill(process.pid, signal.SIGTERM)
        if not await until(lambda: not alive(process), STOP_SECONDS):
            raise StopFailed(f"keepalived (pid {process.pid}) still runs {STOP_SECONDS:.0f} s after SIGTERM")
        reap(process.pid)

    def _spawn(self, paths: KeepalivedPaths) -> int:
        """Not by asyncio or subprocess: both end or disown their children together with the minion."""
        program = paths.executable()
        vrrp, checkers, bfd = paths.children
        arguments = [
            paths.binary,
            *("--dont-fork", "--vrrp", "--log-console", "--log-detail", "--no-syslog"),
            f"--use-file={paths.config}",
            f"--pid={paths.pid}",
            f"--vrrp_pid={vrrp}",
            f"--checkers_pid={checkers}",
            f"--bfd_pid={bfd}",
        ]
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        return os.posix_spawn(
            program,
            arguments,
            {**os.environ, "TMPDIR": str(paths.dump.parent)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(paths.log), log_flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGTERM],
        )

    @staticmethod
    def _give_up(pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return


def _ready(pid: int, paths: KeepalivedPaths) -> Process | str | None:
    """It runs when the pid file names it and its VRRP child has its own; "ended" stops the waiting."""
    if reap(pid):
        return "ended"
    process = find(paths)
    return process if process is not None and process.pid == pid and survivors(paths) else None


def reap(pid: int) -> bool:
    """Collect a child of ours that has ended; returns whether there was one."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _last_words(log: Path) -> str:
    try:
        text = log.read_text(errors="replace")[-_LOG_SHOWN:]
    except OSError as error:
        return str(error)
    return "; ".join(line.partition(": ")[2] or line for line in text.splitlines()[-5:])


async def clear_remains(paths: KeepalivedPaths, patience: float = 3.0) -> tuple[int, ...]:
    """End what a killed parent left: its children get `patience` seconds to clean up by themselves.

    Then take away the pid files: keepalived refuses to start ("daemon is already running") when one of them names any
    process that exists, be it a zombie or somebody who got the pid since. Returns the pids that had to be killed. Only
    for a keepalived whose parent is gone: one that somebody else starts meanwhile is left alone. Raises `OSError`.
    """
    killed = []

    def cleared() -> bool:
        return find(paths) is not None or not survivors(paths)

    if not await until(cleared, patience):
        killed = _kill(survivors(paths))
        await until(cleared, patience)
    if find(paths) is not None:
        return tuple(killed)
    for file in (paths.pid, *paths.children):
        file.unlink(missing_ok=True)
    return tuple(killed)


def _kill(processes: Iterable[Process]) -> list[int]:
    killed = []
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
            killed.append(process.pid)
    return killed
