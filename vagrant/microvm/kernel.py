"""The User-Mode Linux kernel of this machine: its version, and how it is called here.

Other than Debian's package it also runs on processors with AMX: ``xstate.c`` says how. Also used by the tests and benchmarks
that boot a guest of their own.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from microvm import paths
from microvm.errors import LabError
from microvm.shell import run

MODULES = Path("/usr/lib/uml/modules")
_SOURCE = Path(__file__).with_name("xstate.c")
_CPUINFO = Path("/proc/cpuinfo")


def version() -> str:
    """Return the version of the kernel, whose modules lie under ``MODULES``. Raises ``LabError``."""
    found = run(["linux.uml", "--version"], what="read the version of the User-Mode Linux kernel").strip()
    if not (MODULES / found).is_dir():
        raise LabError(f"{MODULES / found} is missing: reinstall the package user-mode-linux")
    return found


def has_amx(cpuinfo: str | None = None) -> bool:
    """Tell whether the processor has registers that the kernel does not know; ``cpuinfo`` as /proc/cpuinfo has it."""
    text = _CPUINFO.read_text() if cpuinfo is None else cpuinfo
    return any(line.startswith("flags") and "amx_tile" in line.split() for line in text.splitlines())


def command() -> list[str]:
    """Return the words that start the kernel; its arguments come behind them.

    Builds what it needs for that once, in the cache. Raises ``LabError``.
    """
    return ["env", f"LD_PRELOAD={_library()}", "linux.uml"] if has_amx() else ["linux.uml"]


def _library() -> Path:
    library = paths.cache() / f"xstate-{hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]}.so"
    if not library.exists():
        # Several guests may start at once: each builds its own, and all are the same.
        handle, partial = tempfile.mkstemp(dir=library.parent, prefix="xstate-", suffix=".partial")
        os.close(handle)
        try:
            build = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", partial, _SOURCE]
            run(build, what="build what linux.uml needs on a processor with AMX (packages gcc and libc6-dev)")
            Path(partial).rename(library)
        finally:
            Path(partial).unlink(missing_ok=True)
    return library
