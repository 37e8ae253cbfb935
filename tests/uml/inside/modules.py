"""Loads modules into the guest's kernel, and takes them out, without kmod, which a small machine need not have."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

_FINIT_MODULE = 313  # the system call on x86-64, the one architecture that User-Mode Linux is packaged for
_DELETE_MODULE = 176
_EEXIST = 17

_libc = ctypes.CDLL(None, use_errno=True)


def load(*names: str) -> None:
    """Load modules and what they depend on; one that is loaded already is fine."""
    root = _root()
    needs: dict[str, list[str]] = {}
    for line in (root / "modules.dep").read_text().splitlines():
        path, _, dependencies = line.partition(":")
        needs[path] = dependencies.split()
    paths = {Path(path).stem: path for path in needs}
    for name in names:
        # modules.dep names the nearest dependency first; loading begins with the farthest.
        for path in [*reversed(needs[paths[name]]), paths[name]]:
            _insert(root / path)


def _root() -> Path:
    """Where the modules of this kernel lie: User-Mode Linux has a place of its own."""
    places = [Path(place) / platform.release() for place in ("/usr/lib/uml/modules", "/usr/lib/modules")]
    return next(place for place in places if place.is_dir())


def _insert(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _libc.syscall(_FINIT_MODULE, descriptor, b"", 0) != 0 and ctypes.get_errno() != _EEXIST:
            raise OSError(ctypes.get_errno(), f"loading {path}")
    finally:
        os.close(descriptor)


def unload(prefix: str) -> None:
    """Take out all modules whose names begin so, the youngest first: those that need others come after them."""
    names = [line.split()[0] for line in Path("/proc/modules").read_text().splitlines()]
    for name in names:
        if name.startswith(prefix) and _libc.syscall(_DELETE_MODULE, name.encode(), os.O_NONBLOCK) != 0:
            raise OSError(ctypes.get_errno(), f"unloading {name}")
