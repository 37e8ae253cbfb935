"""What keepalived is on this host: its file, and whether a process runs with it. Looks only."""

from __future__ import annotations

from lbstates.kinds.keepalived import Keepalived

from . import config_file, marks
from .paths import KeepalivedPaths
from .process import Process, find


def observe(paths: KeepalivedPaths, known: Process | None = None) -> Keepalived | None:
    """Read what is: None when there is neither a file nor a process. Raises `OSError`.

    `known`: the process, where the caller knows it better than the pid file, which goes before the process does.
    """
    text = config_file.read(paths)
    process = known or find(paths)
    if not text and process is None:
        return None
    return Keepalived(text, process is not None and marks.has_loaded(paths, process, text))
