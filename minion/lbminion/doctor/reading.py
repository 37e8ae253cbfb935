"""Small readings of this host: files below /proc and /sys, settings, processes, keepalived's log. Judges nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lbminion import sysctl
from lbminion.errors import ChangeError
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.keepalived.process import named_by

_TAIL: Final = 64 * 1024
_JOURNAL_SECONDS: Final = 3


def text(path: str) -> str:
    """Return a file's text, "" where there is no such file or this user may not read it."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def settings(keys: Iterable[str]) -> dict[str, str]:
    """Read kernel settings; one that is not there is left out."""
    found = {}
    for key in keys:
        try:
            found[key] = sysctl.read(key)
        except ChangeError:
            continue
    return found


def interfaces() -> dict[str, bool]:
    """Name the interfaces beside lo, and whether each is up and has carrier (a tunnel device's state is "unknown")."""
    names = [name for name in _listed("/sys/class/net") if name != "lo"]
    return {name: text(f"/sys/class/net/{name}/operstate").strip() in ("up", "unknown") for name in names}


def mac(interface: str) -> str:
    """Return an interface's MAC, "" if it has none."""
    return text(f"/sys/class/net/{interface}/address").strip()


def mtu(interface: str) -> int:
    """Return an interface's MTU, 0 if there is no such interface."""
    value = text(f"/sys/class/net/{interface}/mtu").strip()
    return int(value) if value.isdecimal() else 0


def processes() -> dict[int, str]:
    """Name what runs in our network namespace, by pid: a container's processes write to another table."""
    found = {}
    here = _namespace("self")
    for entry in _listed("/proc"):
        if entry.isdecimal() and (name := text(f"/proc/{entry}/comm").strip()) and _namespace(entry) in (here, ""):
            found[int(entry)] = name
    return found


def checkers(paths: KeepalivedPaths) -> int | None:
    """Return the pid of our keepalived's health checkers, None when it has none."""
    pid = named_by(paths.children[1])
    return pid if pid is not None and text(f"/proc/{pid}/comm").strip() == "keepalived" else None


def keepalived_log(paths: KeepalivedPaths) -> list[str]:
    """Return the newest lines of keepalived's log: of a supervised one its file, else the journal of the last hour."""
    try:
        with paths.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return _journal()


def _journal() -> list[str]:
    command = [
        "journalctl",
        "--unit=keepalived",
        "--since=-1h",
        "--lines=1000",
        "--output=cat",
        "--quiet",
        "--no-pager",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_JOURNAL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()


def _namespace(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []
