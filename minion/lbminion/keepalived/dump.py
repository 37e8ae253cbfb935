"""keepalived's JSON dump: ask by signal, read the answer, believe it only if it is keepalived's own.

The one place that tells the state of instances after a reload (the FIFO is silent then) and to a minion that just
started. A build of keepalived without JSON has no dump: `read` returns None, and the FIFO alone must do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from .errors import DumpFailed
from .paths import KeepalivedPaths
from .process import Process
from .transitions import State

_MAX_BYTES: Final = 8 * 1024 * 1024
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.05
_STATE_OF: Final[Mapping[int, State]] = {0: "BACKUP", 1: "BACKUP", 2: "MASTER", 3: "FAULT", 97: "FAULT", 98: "STOP"}


class _Data(msgspec.Struct, frozen=True):
    iname: str
    state: int
    effective_priority: int
    vips: tuple[str, ...] = ()


class _Entry(msgspec.Struct, frozen=True):
    data: _Data
    stats: dict[str, int] = {}


class InstanceDump(msgspec.Struct, frozen=True):
    """One VRRP instance as keepalived sees it.

    `vips` as keepalived writes them ("172.28.128.200/24 dev eth1 scope global set": "set" means that it has it now);
    `statistics` are its counters (advert_rcvd, become_master, ...), since its start.
    """

    state: State
    priority: int
    vips: tuple[str, ...]
    statistics: dict[str, int]


def parse(raw: bytes) -> dict[str, InstanceDump]:
    """Read a whole dump: instance -> what it is. Raises `ValueError` for anything else, also for half a dump."""
    try:
        entries = msgspec.json.decode(raw, type=list[_Entry])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"not a dump of keepalived's: {error}") from error
    return {
        entry.data.iname: InstanceDump(
            _STATE_OF.get(entry.data.state, "FAULT"), entry.data.effective_priority, entry.data.vips, entry.stats
        )
        for entry in entries
    }


async def read(process: Process, paths: KeepalivedPaths, within: float = 1.0) -> dict[str, InstanceDump] | None:
    """Have keepalived write its dump and return it; None when this build has no JSON.

    Raises `DumpFailed` when nothing believable came within `within` seconds, `ProcessLookupError` when the process is
    gone, `KeepalivedMissing`.
    """
    number = json_signal(paths.executable())
    if number is None:
        return None
    deadline = time.monotonic() + within
    _clear(paths.dump)
    os.kill(process.pid, number)
    pause, problem = _FIRST_PAUSE, "it is not there"
    while time.monotonic() < deadline:
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE)
        try:
            return parse(_trusted(paths.dump))
        except FileNotFoundError:
            problem = "it is not there"
        except (OSError, ValueError) as error:
            problem = str(error)
    raise DumpFailed(
        f"keepalived (pid {process.pid}) was asked for {paths.dump}: {problem} after {within:.1f} s"
        " (a keepalived.service with PrivateTmp= or another TMPDIR writes it elsewhere)"
    )


@lru_cache(maxsize=4)
def json_signal(program: str) -> int | None:
    """Return the signal that makes this keepalived write its JSON dump, None when it was built without."""
    answer = subprocess.run([program, "--signum=JSON"], capture_output=True, text=True, timeout=10, check=False)
    number = answer.stdout.strip()
    if answer.returncode != 0 or not number.isdecimal() or not 0 < int(number) < signal.NSIG:
        return None
    return int(number)


def _clear(dump: Path) -> None:
    """What lies there is an old dump or a trap; without it, what comes next was written after the signal."""
    try:
        dump.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DumpFailed(f"{dump} cannot be removed: {error}") from error


def _trusted(dump: Path) -> bytes:
    descriptor = os.open(dump, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise ValueError("it is not a plain file")
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise ValueError(
                f"somebody else could have written it (user {status.st_uid}, {status.st_mode & 0o777:04o})"
            )
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
    return raw
