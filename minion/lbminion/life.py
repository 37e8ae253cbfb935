"""The minion's life, as keepalived sees it: a lock that is held while the minion serves.

The kernel releases it at any death of the process, so that nothing has to be cleaned up and nothing can be forgotten.
keepalived runs `flock` on it every two seconds, and lowers this director's priorities when it can be had.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from .errors import HostError
from .keepalived.waiting import until

_PATIENCE: Final = 3.0
"""Seconds. keepalived's own look holds the lock for a moment when no minion has it."""


def lock_in(runtime: Path) -> Path:
    """Name the lock of the minion that has this runtime directory."""
    return runtime / "alive.lock"


class Life:
    """The lock at `path`; nobody but root may open it, so that nobody else can feign a living minion."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    async def begin(self) -> None:
        """Take the lock. Raises `HostError` when another minion has it, and `OSError`."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._descriptor = descriptor
        os.fchmod(descriptor, 0o600)
        if not await until(lambda: _lock(descriptor), _PATIENCE):
            self.end()
            raise HostError(
                f"another lbminion serves this host: {self.path} is locked; `fuser -v {self.path}` names it"
            )

    def end(self) -> None:
        """Let go of the lock; doing so twice is fine. The file stays: it may be looked at just now."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
