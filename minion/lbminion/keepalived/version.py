"""Which keepalived is installed on this host: what it can be configured to do depends on it."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

from .errors import KeepalivedMissing
from .paths import KeepalivedPaths

_VERSION: Final = re.compile(r"\bKeepalived v(\d+(?:\.\d+)*)")


def version(paths: KeepalivedPaths) -> str | None:
    """Return e.g. "2.2.7"; None when keepalived is not installed or does not say.

    Asked at every look at the host, so the program is started once for each file that it was: an upgrade is another.
    """
    try:
        program = paths.executable()
        file = Path(program).stat()
        return _version(program, file.st_ino, file.st_mtime_ns)
    except (KeepalivedMissing, OSError, subprocess.TimeoutExpired):
        return None


@lru_cache(maxsize=4)
def _version(program: str, _inode: int, _modified: int) -> str | None:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = _VERSION.search(answer.stderr + answer.stdout)
    return None if found is None else found[1]
