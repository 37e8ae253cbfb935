"""Kernel settings below /proc/sys: read and write one. Which value a setting shall have is decided elsewhere.

A key is a path below the root ("net/ipv4/conf/all/arp_ignore"): an interface's name may hold dots.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from lbminion.errors import ChangeError, NotPermitted, kernel_said

ROOT: Final = Path("/proc/sys")


def read(key: str, root: Path = ROOT) -> str:
    """Return the value, its white space normalised ("4096 16384 4194304"). Raises `ChangeError`."""
    path = _path(key, root)
    try:
        # One read of the whole: a setting has to be read at one stroke to be consistent.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return normalised(os.read(descriptor, 65536).decode("utf-8", "replace"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _error(key, path, error) from None


def write(key: str, value: str, root: Path = ROOT) -> None:
    """Write the value, without reading it back: a setting may round it, and the next observation says so.

    Raises `ChangeError`.
    """
    path = _path(key, root)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, normalised(value).encode() + b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _error(key, path, error, value) from None


def normalised(value: str) -> str:
    """Write a value as it is compared: the kernel prints lists with tabs and ends lines with a line feed."""
    return " ".join(value.split())


def _path(key: str, root: Path) -> Path:
    parts = key.split("/")
    if "" in parts or "." in parts or ".." in parts or "\0" in key:
        raise ChangeError("sysctl", key, f"is no path below {root}")
    return root.joinpath(*parts)


def _error(key: str, path: Path, error: OSError, value: str | None = None) -> ChangeError:
    match error.errno:
        case errno.ENOENT:
            reason = f"{path} is not there: the interface or the kernel module that brings it is missing, or too old"
        case errno.EINVAL if value is not None:
            reason = f"the kernel does not take {value!r} as the value of {path}"
        case errno.EPERM | errno.EACCES:
            reason = str(NotPermitted(f"{path}"))
        case number:
            reason = f"{path}: {kernel_said(number or errno.EIO)}"
    return ChangeError("sysctl", key, reason, error.errno)
