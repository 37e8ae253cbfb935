"""Which process is our keepalived. Looks only; manager.py starts and stops.

A host may run other keepalived processes (containers, network namespaces, a second instance): ours is the one that our
pid file names, that was started with our configuration file, and that lives in our network namespace.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .paths import KeepalivedPaths

_DEFAULT_CONFIG: Final = Path("/etc/keepalived/keepalived.conf")
_CONFIG_OPTIONS: Final = ("-f", "--use-file")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Positions in /proc/PID/stat after the closing parenthesis of the name.
_STATE, _STARTED = 0, 19


@dataclass(frozen=True, slots=True)
class Process:
    """A pid is used again; with its start (clock ticks since boot) it names one process for ever."""

    pid: int
    started: int


def find(paths: KeepalivedPaths) -> Process | None:
    """Return the parent process of our keepalived, None when it does not run."""
    return _ours(paths.pid, paths)


def survivors(paths: KeepalivedPaths) -> tuple[Process, ...]:
    """Return the children that still live: after a parent that was killed they take a second to clean up and go."""
    found = (_ours(file, paths) for file in paths.children)
    return tuple(process for process in found if process is not None)


def alive(process: Process) -> bool:
    """Tell whether this very process lives; a zombie does not."""
    return _look(process.pid) == process


def named_by(pid_file: Path) -> int | None:
    """Return the pid that stands in the file, None when there is no such file or it holds no pid."""
    try:
        text = pid_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    try:
        pid = int(text)
    except ValueError:
        return None
    return pid if pid > 0 else None


def started_at(process: Process) -> float:
    """Return the start as seconds since the epoch; exact to a clock tick, if the clock was not set since."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - process.started / _TICKS
    return time.time() - age


def configuration_of(arguments: Sequence[str]) -> Path:
    """Return the configuration file that a keepalived with this command line reads."""
    for number, argument in enumerate(arguments[1:], start=1):
        if argument in _CONFIG_OPTIONS and number + 1 < len(arguments):
            return Path(arguments[number + 1])
        if argument.startswith("--use-file="):
            return Path(argument.partition("=")[2])
        if argument.startswith("-f") and len(argument) > len("-f"):
            return Path(argument[2:])
    return _DEFAULT_CONFIG


def _ours(pid_file: Path, paths: KeepalivedPaths) -> Process | None:
    pid = named_by(pid_file)
    process = None if pid is None else _look(pid)
    if process is None:
        return None
    arguments = _arguments(process.pid)
    if not arguments or Path(arguments[0]).name != Path(paths.binary).name:
        return None
    if configuration_of(arguments) != paths.config or not _in_our_namespace(process.pid):
        return None
    return process


def _look(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZX" else Process(pid, int(fields[_STARTED]))


def _arguments(pid: int) -> tuple[str, ...]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in raw.rstrip(b"\0").split(b"\0"))


def _in_our_namespace(pid: int) -> bool:
    """Without the right to look (a minion with few capabilities) the pid file and the command line must be enough."""
    try:
        return Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
    except PermissionError:
        return True
    except OSError:
        return False
