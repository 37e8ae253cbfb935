"""A request of HTTP/1.1, and as much of the answer as a check has to know. Pure.

A real server that was broken into may answer anything: what is read is bounded, and nothing in it is followed.
"""

from __future__ import annotations

import re
from typing import Final

from lbstates.checks import HttpCheck
from lbstates.kinds.service import endpoint

from .outcome import ProbeFailed, Target

MOST_BODY: Final = 64 * 1024
_MOST_HEAD: Final = 64 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\Z")
_SHOWN: Final = 40
_LONGEST_SIZE: Final = 4000
"""Bytes of the line with the size of a chunk, and whatever stands behind it."""
_NO_BODY: Final = (204, 304)
_END: Final = re.compile(rb"\r?\n\r?\n")
_LONGEST_END: Final = 4


def request(check: HttpCheck, target: Target, usual_port: int) -> bytes:
    """Write the request; without a `host` it names the VIP, as a browser would."""
    asked = target.vip or target.address
    named = f"[{asked}]" if ":" in asked else asked
    host = check.host or (named if target.port == usual_port else endpoint(asked, target.port))
    length = "Content-Length: 0\r\n" if check.method == "POST" else ""
    return (
        f"{check.method} {check.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lbmaster\r\nAccept: */*\r\n"
        f"{length}Connection: close\r\n\r\n"
    ).encode("ascii")


class Answer:
    """Takes an answer piece by piece, and judges it as soon as that can be done."""

    def __init__(self, check: HttpCheck) -> None:
        self._check, self._wanted = check, check.body.encode()
        self._raw = b""
        self._looked = 0
        self._body: _Body | None = None
        self._status = 0

    def take(self, data: bytes) -> str:
        """Take what was read (b"": that was all); returns what passed, "" while more is needed. Raises `ProbeFailed`."""
        self._raw += data
        while self._body is None:
            if not self._head(ended=not data):
                return ""
        if not self._wanted:
            return f"status {self._status}"
        looked = len(self._body.text)
        self._body.take(self._raw)
        self._raw = b""
        if self._body.text.find(self._wanted, max(0, looked - len(self._wanted))) >= 0:
            return f"status {self._status}, the body holds {self._check.body!r}"
        # Only now: how much of an answer comes in one read is chance, and must not change the verdict.
        if self._body.broken:
            raise ProbeFailed("the answer has a chunk without size")
        if not data or self._body.ended or len(self._body.text) >= MOST_BODY:
            raise ProbeFailed(f"the body (status {self._status}) does not hold {self._check.body!r}")
        return ""

    def _head(self, *, ended: bool) -> bool:
        """Read the head, and skip those that say that the answer is yet to come (100 to 199)."""
        # Only what is new, for a head may come byte by byte; its end may lie across two reads.
        end = _END.search(self._raw, max(0, self._looked - _LONGEST_END), _MOST_HEAD)
        if end is None:
            if ended or len(self._raw) >= _MOST_HEAD:
                raise ProbeFailed(_unfinished(self._raw))
            self._looked = len(self._raw)
            return False
        lines = self._raw[: end.start()].splitlines()
        self._raw, self._looked = self._raw[end.end() :], 0
        self._status = _status(lines[0] if lines else b"")
        if self._status >= 200:  # noqa: PLR2004 - what is below is not the answer
            self._judge_status()
            bodiless = self._status in _NO_BODY or self._check.method == "HEAD"
            self._body = _Body(*((0, False) if bodiless else _framing(lines[1:])))
        return True

    def _judge_status(self) -> None:
        if not any(low <= self._status <= high for low, high in self._check.status):
            raise ProbeFailed(f"status {self._status}")


class _Body:
    """The text of a body, up to `MOST_BODY`: `length` bytes (None: as many as come), or in chunks.

    `broken`: what should be the size of a chunk is none.
    """

    def __init__(self, length: int | None, chunked: bool) -> None:
        self.text, self.ended, self.broken = b"", length == 0, False
        self._left, self._chunked, self._raw = length, chunked, b""

    def take(self, data: bytes) -> None:
        """Add to the text what is part of it."""
        if self._chunked:
            self._raw += data
            while not (self.ended or self.broken) and self._chunk():
                pass
        else:
            self.text += data if self._left is None else data[: self._left]
            if self._left is not None:
                self._left = max(0, self._left - len(data))
                self.ended = not self._left
        self.text = self.text[:MOST_BODY]

    def _chunk(self) -> bool:
        """Move the next chunk, or what there is of it, into the text; tell whether there may be another one."""
        if self._left:
            taken, self._raw = self._raw[: self._left], self._raw[self._left :]
            self.text += taken
            self._left -= len(taken)
            return not self._left and bool(self._raw)
        # Not kept: a real server that sends nothing but ends of lines would fill the memory with them.
        self._raw = self._raw.lstrip(b"\r\n")
        line, found, rest = self._raw.partition(b"\n")
        size = line.partition(b";")[0].strip()
        if not found:
            self.broken = len(line) > _LONGEST_SIZE
            return False
        if len(line) > _LONGEST_SIZE or not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
            self.broken = True
            return False
        self._left, self._raw = int(size, 16), rest
        self.ended = not self._left
        return bool(self._left)


def _framing(lines: list[bytes]) -> tuple[int | None, bool]:
    """Tell how long the body is, and whether it comes in chunks."""
    headers = {
        name.strip().lower(): value.strip().lower()
        for name, found, value in (it.partition(b":") for it in lines)
        if found
    }
    if headers.get(b"transfer-encoding", b"").endswith(b"chunked"):
        return None, True
    length = headers.get(b"content-length", b"")
    return (int(length), False) if re.fullmatch(rb"[0-9]{1,15}", length) else (None, False)


def _status(line: bytes) -> int:
    found = _STATUS.match(line)
    if found is None:
        raise ProbeFailed(_unfinished(line))
    return int(found[1])


def _unfinished(raw: bytes) -> str:
    if not raw:
        return "the connection was closed without an answer"
    return f"the answer is not HTTP: it begins with {raw[:_SHOWN]!r}"
