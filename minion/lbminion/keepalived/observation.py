"""What keepalived is on this host: its file, and whether a process runs with it. Looks only."""

from __future__ import annotations

from lbstates.kinds.keepalived import Keepalived

from . import config_file, marks
from .paths import KeepalivedPaths
from .process import find


def observe(paths: KeepalivedPaths) -> Keepalived | None:
    """Read what is: None when there is neither a file nor a process. Raises `OSError`."""
    text = config_file.read(paths)
    process = find(paths)
    if not text and process is None:
        return None
    return Keepalived(text, process is not None and marks.has_loaded(paths, process, text))
