"""Which keepalived is installed on this host: what it can be configured to do depends on it."""

from __future__ import annotations

import re
import subprocess
from typing import Final

from .errors import KeepalivedMissing
from .paths import KeepalivedPaths

_VERSION: Final = re.compile(r"\bKeepalived v(\d+(?:\.\d+)*)")


def version(paths: KeepalivedPaths) -> str | None:
    """Return e.g. "2.2.7"; None when keepalived is not installed or does not say."""
    try:
        return _version(paths.executable())
    except (KeepalivedMissing, OSError, subprocess.TimeoutExpired):
        return None


def _version(program: str) -> str | None:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = _VERSION.search(answer.stderr + answer.stdout)
    return None if found is None else found[1]
