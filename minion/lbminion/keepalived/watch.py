"""Noticing at once that keepalived ended, also one that is not our child. What that means is ends.py's business."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable

from .manager import reap
from .process import Process, alive


class DeathWatch:
    """Watches one process by its pidfd; tells once, from the running loop."""

    def __init__(self, on_death: Callable[[Process], None]) -> None:
        self._on_death = on_death
        self._watched: tuple[Process, int] | None = None

    @property
    def process(self) -> Process | None:
        """The process that is watched now."""
        return None if self._watched is None else self._watched[0]

    def watch(self, process: Process) -> None:
        """Watch this process instead of any other; one that is gone already is told of by the next turn of the loop."""
        if self.process == process:
            return
        self.cancel()
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            loop.call_soon(self._on_death, process)
            return
        if not alive(process):  # the pid names another process by now
            os.close(descriptor)
            loop.call_soon(self._on_death, process)
            return
        self._watched = (process, descriptor)
        loop.add_reader(descriptor, self._ended)

    def settle(self) -> None:
        """Tell of an end that has happened at once, instead of by a later turn of the loop."""
        if self._watched is None:
            return
        poll = select.poll()
        # A pidfd can be read as soon as its process has ended. /proc may fail to tell for other reasons.
        poll.register(self._watched[1], select.POLLIN)
        if poll.poll(0):
            self._ended()

    def cancel(self) -> None:
        """Watch nothing any more."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched[1])
            os.close(self._watched[1])
            self._watched = None

    def _ended(self) -> None:
        process = self.process
        self.cancel()
        if process is not None:
            reap(process.pid)
            self._on_death(process)
