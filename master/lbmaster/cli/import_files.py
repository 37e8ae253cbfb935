"""Reading the files of other tools from disk, and what keepalived's `include` names: wildcards and braces."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lbstates.importing.remarks import Unreadable

FILE_LIMIT: Final = 4 * 1024 * 1024
MAX_ALTERNATIVES: Final = 1_000

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_EXECUTABLE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class Disk:
    """`lbstates.importing.Files` on the local file system."""

    def find(self, pattern: str, directory: str) -> Sequence[str]:
        """Find files, sorted as the C library does it for keepalived; what is no file is left out."""
        found: list[str] = []
        for alternative in alternatives(pattern):
            where = os.path.join(directory, alternative)  # noqa: PTH118 - a pattern, not a path
            found += sorted(name for name in glob.glob(where) if not Path(name).is_dir())  # noqa: PTH207
        return list(dict.fromkeys(found))

    def read(self, name: str) -> str:
        """Read an included file; keepalived skips executable ones, and so does this."""
        path = Path(name)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise Unreadable(str(error.strerror)) from error
        if not stat.S_ISREG(mode):
            raise Unreadable("it is no regular file")
        if mode & _EXECUTABLE:
            raise Unreadable("it is executable, and keepalived skips such files")
        return read_text(name)

    def directory(self, name: str) -> str:
        """Return the directory, absolute: what `${_PWD}` is to keepalived."""
        return str(Path(name).absolute().parent)


def read_text(name: str) -> str:
    """Read a file ("-": standard input) as UTF-8, or else as Latin-1; raises `Unreadable`."""
    try:
        raw = sys.stdin.buffer.read(FILE_LIMIT + 1) if name == "-" else _read(Path(name))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Unreadable(getattr(error, "strerror", None) or str(error)) from error
    if len(raw) > FILE_LIMIT:
        raise Unreadable(f"it is larger than {FILE_LIMIT} bytes")
    if b"\0" in raw:
        raise Unreadable("it is a binary file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_LIMIT + 1)


def alternatives(pattern: str) -> Iterator[str]:
    """Expand braces as csh does: `{a,b{c,d}}.conf` -> a.conf, bc.conf, bd.conf; stops at a thousand."""
    todo = [pattern]
    given = 0
    while todo and given < MAX_ALTERNATIVES:
        one = todo.pop(0)
        match = _BRACES.search(one)
        if match is None:
            given += 1
            yield one
            continue
        before, after = one[: match.start()], one[match.end() :]
        todo = [f"{before}{choice}{after}" for choice in match[1].split(",")] + todo
        del todo[MAX_ALTERNATIVES:]
