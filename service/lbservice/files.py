"""Files that are whole or not there, and that nobody else can read unless they shall."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace `path` in one step; after a crash it holds the old content or the new, never a part.

    `durable=False` skips the flush to disk, for files below /run. Raises `OSError`.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush a directory, so that a file created or renamed in it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_directory(path: Path, mode: int = 0o700) -> Path:
    """Create a directory (and its parents) with this mode; an existing one keeps its mode. Raises `OSError`."""
    if not path.is_dir():
        path.mkdir(mode=mode, parents=True)
    return path
