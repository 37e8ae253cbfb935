"""Takes modules out of the guest's kernel, so that a test can begin without them whatever ran before it."""

from __future__ import annotations

import ctypes
import os

from lbminion.modules import loaded

_DELETE_MODULE = 176  # the system call on x86-64, the one architecture that User-Mode Linux is packaged for

_libc = ctypes.CDLL(None, use_errno=True)


def unload(*names: str) -> None:
    """Unload modules that nothing uses, in this order; one that is not loaded is fine."""
    for name in names:
        if name in loaded() and _libc.syscall(_DELETE_MODULE, name.encode(), os.O_NONBLOCK):
            raise OSError(ctypes.get_errno(), f"unloading {name}")
    assert not loaded() & set(names)
