"""keepalived's notify FIFO: lines in, in order, whole; what is no line of keepalived's is named as such.

What the lines mean for an instance is transitions.py's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from .errors import FifoBlocked

logger = logging.getLogger(__name__)

MAX_LINE: Final = 1024
PIPE_BYTES: Final = 1024 * 1024
"""What the FIFO holds while the minion is busy, some 30,000 lines (the kernel's default: 2,000): keepalived drops the rest."""
_CHUNK: Final = 65536
_CHUNKS_AT_ONCE: Final = 16
_SHOWN: Final = 80
_VRRP: Final = re.compile(r'(INSTANCE|GROUP) "([^"]{1,255})" ([A-Z][A-Z_]{0,31}) (\d{1,3})')
_CHECKER: Final = re.compile(r"(?:VS|RS) .* (?:UP|DOWN)")


@dataclass(frozen=True, slots=True)
class FifoLine:
    """`word` is a state (MASTER, BACKUP, FAULT, STOP) or a notice (MASTER_PRIORITY, MASTER_RX_LOWER_PRI, ...)."""

    subject: Literal["INSTANCE", "GROUP"]
    name: str
    word: str
    priority: int


@dataclass(frozen=True, slots=True)
class BadLine:
    """Something that keepalived does not write; `text` is its beginning, made printable."""

    text: str
    reason: str


Line: TypeAlias = FifoLine | BadLine


def parse_line(raw: bytes) -> Line | None:
    """Read one line without its newline; None for the health checkers' lines, which are nobody's business here."""
    text = raw.decode(errors="backslashreplace")
    if len(raw) > MAX_LINE:
        return BadLine(_printable(text), f"longer than {MAX_LINE} bytes")
    match = _VRRP.fullmatch(text)
    if match is None:
        return None if _CHECKER.fullmatch(text) else BadLine(_printable(text), "not a line of keepalived's")
    subject: Literal["INSTANCE", "GROUP"] = "INSTANCE" if match[1] == "INSTANCE" else "GROUP"
    return FifoLine(subject, match[2], match[3], int(match[4]))


def _printable(text: str) -> str:
    return ascii(text[:_SHOWN])[1:-1]


@dataclass(slots=True)
class LineSplitter:
    """Bytes in, whole lines out. An endless line costs no memory: what follows its bound is skipped."""

    _rest: bytes = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole now; one that grew too long comes as its first `MAX_LINE` + 1 bytes."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: MAX_LINE + 1]
        return [line[: MAX_LINE + 1] for line in lines]


class Fifo:
    """Holds the FIFO open for reading *and* writing, so that it neither ends nor loses lines when keepalived goes."""

    def __init__(self, path: Path, on_lines: Callable[[Sequence[Line]], None]) -> None:
        """`on_lines` gets every read's lines together, oldest first; it must not block."""
        self.path = path
        self._on_lines = on_lines
        self._descriptors: list[tuple[int, LineSplitter]] = []

    def open(self) -> None:
        """Make the FIFO if it is missing and begin to read it in the running loop.

        Raises `FifoBlocked` when something else lies there, `OSError`.
        """
        loop = asyncio.get_running_loop()
        descriptor = open_fifo(self.path)
        splitter = LineSplitter()
        self._descriptors.append((descriptor, splitter))
        loop.add_reader(descriptor, self._drain, descriptor, splitter)

    def ensure(self) -> bool:
        """Open it anew if somebody removed or replaced the file; returns whether that was so.

        A keepalived that runs still writes to the old one, so that stays open too, until `close`. Raises as `open`.
        """
        current = _identity(self.path)
        if current is not None and any(current == _identity(descriptor) for descriptor, _ in self._descriptors):
            return False
        logger.warning("the notify FIFO %s was removed or replaced; opening it anew", self.path)
        self.open()
        return True

    def follow(self) -> None:
        """Read what keepalived writes to since it loaded its file: it opens the path anew then.

        A FIFO that keepalived itself had made (it was there before the minion, at boot) it removes and makes again. What it
        wrote before goes first; FIFOs that are no longer at the path are let go. Raises as `open`.
        """
        self.ensure()
        self.drain()
        current = _identity(self.path)
        for place in [place for place in self._descriptors if _identity(place[0]) != current]:
            asyncio.get_running_loop().remove_reader(place[0])
            os.close(place[0])
            self._descriptors.remove(place)

    def drain(self) -> None:
        """Hand over at once what lies in the FIFO, before a conclusion is drawn from its silence."""
        for descriptor, splitter in self._descriptors:
            self._drain(descriptor, splitter)

    def close(self) -> None:
        """Stop reading; the FIFO itself stays, for keepalived and for the next minion."""
        loop = asyncio.get_running_loop()
        for descriptor, _ in self._descriptors:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._descriptors.clear()

    def _drain(self, descriptor: int, splitter: LineSplitter) -> None:
        lines: list[Line] = []
        for _ in range(_CHUNKS_AT_ONCE):
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                break
            parsed = (parse_line(raw) for raw in splitter.feed(data))
            lines += [line for line in parsed if line is not None]
        if lines:
            self._on_lines(lines)


def open_fifo(path: Path) -> int:
    """Return a descriptor of the FIFO (non-blocking, read and write), made with mode 0600 if it is missing.

    Raises `FifoBlocked` for anything that is not our own FIFO: whoever can write to it can invent failovers.
    """
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    try:
        status = path.lstat()
        if not stat.S_ISFIFO(status.st_mode):
            raise FifoBlocked(f"{path} is no FIFO but something else; look at it, remove it, start lbminion again")
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FifoBlocked(f"{path} vanished while it was opened: {error}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISFIFO(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        os.close(descriptor)
        raise FifoBlocked(
            f"{path} belongs to user {status.st_uid} with mode {stat.S_IMODE(status.st_mode):04o}, "
            f"not to user {os.geteuid()} with mode 0600; remove it, start lbminion again"
        )
    with contextlib.suppress(OSError):  # a kernel that allows less keeps its default
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return descriptor


def _identity(place: Path | int) -> tuple[int, int] | None:
    try:
        status = place.lstat() if isinstance(place, Path) else os.fstat(place)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
