"""A process that outlives the command which started it.

It is remembered by number and start time, so that a number which the kernel gave to another process meanwhile is never
mistaken for it.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from microvm.errors import LabError

KILL_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A process of this machine; ``started`` is its start time in clock ticks since boot, as /proc tells it."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """Remember a running process. Raises ``LabError`` when it has ended already."""
        started = _started(pid)
        if started is None:
            raise LabError(f"process {pid} ended right after its start")
        return cls(pid, started)

    def alive(self) -> bool:
        """Tell whether it still runs; a zombie does not."""
        return _started(self.pid) == self.started

    def kill(self) -> None:
        """End it by SIGKILL and wait until it is gone. Raises ``LabError`` when it is not within ten seconds."""
        deadline = time.monotonic() + KILL_SECONDS
        while self.alive():
            if time.monotonic() > deadline:
                raise LabError(f"process {self.pid} survives SIGKILL; look at it by `ps`")
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            time.sleep(0.02)


def _started(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])
