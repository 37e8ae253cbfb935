"""What must survive the minion but not the boot: which text keepalived has loaded, and that an operator stopped it.

Each mark is a small file in the runtime directory that carries the boot's id, so that it is void after a reboot even
where the directory is not cleared (containers).
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from lbservice.files import write_atomically

from .paths import KeepalivedPaths
from .process import Process, started_at

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
# A file that changed this shortly before a process started may or may not be what the process read.
_DOUBT_SECONDS: Final = 1.0


Mark = TypeVar("Mark", bound=msgspec.Struct)


class Loaded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The process `pid`/`started` has read a text with this SHA-256."""

    boot: str
    pid: int
    started: int
    digest: str


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator stopped keepalived in this boot."""

    boot: str


def digest(text: str) -> str:
    """Return the SHA-256 of a configuration, as hexadecimal."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def record_loaded(paths: KeepalivedPaths, process: Process, text: str) -> None:
    """Remember, after a start or a confirmed reload. Raises `OSError`."""
    mark = Loaded(_boot(), process.pid, process.started, digest(text))
    write_atomically(_loaded_file(paths), msgspec.json.encode(mark), durable=False)


def last_loaded(paths: KeepalivedPaths) -> Loaded | None:
    """Return what was recorded in this boot, whether or not that process still lives."""
    mark = _read(_loaded_file(paths), Loaded)
    return mark if mark is not None and mark.boot == _boot() else None


def forget_loaded(paths: KeepalivedPaths) -> None:
    """Forget which text was loaded: that process is no more, and its end is known."""
    _loaded_file(paths).unlink(missing_ok=True)


def has_loaded(paths: KeepalivedPaths, process: Process, text: str) -> bool:
    """Tell whether this process runs with this text, which is the text of the file now.

    Without a record of this very process (systemd or an operator started it) it has read the file if that did not
    change since shortly before it started. In doubt the answer is no: a reload too many harms nothing.
    """
    mark = last_loaded(paths)
    if mark is not None and (mark.pid, mark.started) == (process.pid, process.started):
        return mark.digest == digest(text)
    try:
        return paths.config.stat().st_ctime < started_at(process) - _DOUBT_SECONDS
    except OSError:
        return False


def settle(paths: KeepalivedPaths, process: Process, text: str) -> None:
    """Record what a process without a record has loaded, when it is first seen.

    Later the times may not tell it any more: a clock that is set back lets every process have started before its file.
    """
    if has_loaded(paths, process, text):
        with contextlib.suppress(OSError):  # then the times are asked again, as long as there is no record
            record_loaded(paths, process, text)


def hold(paths: KeepalivedPaths) -> None:
    """Remember that an operator stopped keepalived. Raises `OSError`."""
    write_atomically(_held_file(paths), msgspec.json.encode(Held(_boot())), durable=False)


def held(paths: KeepalivedPaths) -> bool:
    """Tell whether an operator stopped keepalived in this boot, and nobody started it since."""
    mark = _read(_held_file(paths), Held)
    return mark is not None and mark.boot == _boot()


def release(paths: KeepalivedPaths) -> bool:
    """Forget the hold; returns whether there was one."""
    was = held(paths)
    _held_file(paths).unlink(missing_ok=True)
    return was


def _loaded_file(paths: KeepalivedPaths) -> Path:
    return paths.runtime / "keepalived.loaded"


def _held_file(paths: KeepalivedPaths) -> Path:
    return paths.runtime / "keepalived.held"


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _read(file: Path, kind: type[Mark]) -> Mark | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
