"""The log of a keepalived that the minion supervises: it lies below /run, in memory, and nobody else rotates it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOST: Final = 4 * 1024 * 1024
"""Bytes; announcements every minute make some megabytes a day of it."""
KEPT: Final = 256 * 1024


def trim(log: Path) -> bool:
    """Cut a log that has grown beyond `MOST` down to its last lines; returns whether that was so. Raises `OSError`.

    In place, since keepalived holds it open (it appends); what it writes in this very moment may be lost.
    """
    try:
        descriptor = os.open(log, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # under systemd there is none
        return False
    with os.fdopen(descriptor, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= MOST:
            return False
        file.seek(size - KEPT)
        tail = file.read(KEPT).partition(b"\n")[2]
        file.truncate(0)
        file.write(tail)
    return True
