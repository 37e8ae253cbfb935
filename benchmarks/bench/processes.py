"""Processes of the benchmarks: start them with a log each, read what the kernel counts of them, end them by pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

_END_SECONDS = 8.0
_TICK = os.sysconf("SC_CLK_TCK")


class BenchmarkError(Exception):
    """Something did not come out as it should, so that no figure can be given; the text says what was seen."""


class Processes:
    """Everything that one set-up started. Use it as a context manager: at its end nothing of it runs any more."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(self._running)

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own; what it prints goes to NAME.log."""
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        self._running.append(process)
        return process

    def log(self, name: str) -> str:
        """Return the end of what a process printed."""
        with contextlib.suppress(OSError):
            return (self._logs / f"{name}.log").read_text(errors="replace")[-2000:]
        return ""

    def end(self, processes: Iterable[subprocess.Popen[bytes]]) -> None:
        """End processes in good order, then whatever is left in their sessions."""
        processes = list(processes)
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _END_SECONDS
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running = [process for process in self._running if process not in processes]


def until(look: Callable[[], T | None], what: str, within: float, pause: float = 0.05) -> T:
    """Look until there is something to see. Raises `BenchmarkError` after `within` seconds."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{what}: not within {within:.0f} s")
        time.sleep(pause)
    return seen


def cpu_seconds(pid: int) -> float:
    """Tell how long a process has run on a CPU, with its threads and its children that have ended (in ticks of 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICK


def resident(pid: int) -> float:
    """Tell a process's VmRSS, in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise BenchmarkError(f"pid {pid} has no memory: it has ended")


def proportional(pid: int) -> float:
    """Tell a process's PSS in MB: pages that several processes share count only once among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def family(pid: int) -> list[int]:
    """Find a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found
