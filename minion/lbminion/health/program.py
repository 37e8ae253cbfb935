"""The check `exec`: a program that the operator of this director put into a directory of it ends with 0.

The state names it; what it is, nobody but root on this host says: the directory and the file have to be root's, and
nobody else may write to them. It gets no argument, and as few rights as this service can give it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from lbstates.checks import ExecCheck

from .outcome import CannotProbe, Outcome, ProbeFailed, Target
from .sockets import OWN_FAULT

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_OUTPUT: Final = 4096
_SHOWN: Final = 200
_ROOT: Final = 0
_NOBODY: Final = 65534
_RIGHTS: Final = 0xE0
"""CAP_KILL (to end what another user runs), CAP_SETGID and CAP_SETUID, as bits."""
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


async def probe(target: Target, check: ExecCheck, directory: Path) -> Outcome:
    """Run it, and take what it says first as the reason. Ends it and its children when cancelled.

    Raises `ProbeFailed`, also when the program may not be run or is not there, and `CannotProbe`.
    """
    path = directory / check.program
    if problem := objection(path):
        raise ProbeFailed(problem)
    output, end = _pipe(path)
    try:
        reader, transport = await _read(output)
        try:
            process = await _start(path, target, end)
        except BaseException:
            transport.close()
            raise
    finally:
        os.close(end)
    try:
        said = await _said(reader)
        code = await process.wait()
    finally:
        transport.close()
        # What it has started and left behind goes with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())
    if code:
        raise ProbeFailed(f"{check.program} ended {_how(code)}{f': {said}' if said else ''}")
    return Outcome(True, said or f"{check.program} ended with 0")


def objection(path: Path) -> str:
    """Say why a program is not to be run ("": it may be)."""
    directory = path.parent
    try:
        place, found = directory.stat(), path.lstat()
    except OSError as error:
        return f"{error.filename}: {(error.strerror or '').lower()}; its operator has to put the check's program there"
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & stat.S_IXUSR:
        return f"{path} is not an executable file (a link does not count)"
    for name, status in ((directory, place), (path, found)):
        if status.st_uid != _ROOT or status.st_mode & _OTHERS_WRITE:
            return f"{name} has to belong to root, and nobody else may write to it"
    return ""


def environment(target: Target) -> dict[str, str]:
    """What the program is told."""
    return {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "LB_ADDRESS": target.real_server or target.address,
        "LB_PORT": str(target.port),
        "LB_PROTOCOL": target.protocol,
        "LB_VIP": target.vip,
    }


def _pipe(path: Path) -> tuple[int, int]:
    try:
        return os.pipe()
    except OSError as error:
        raise CannotProbe(f"{path}: {error.strerror}") from error


async def _read(output: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """Read a pipe of ours, which can be closed: who left the program's session may hold its other end for ever."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(output, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport


async def _start(path: Path, target: Target, output: int) -> asyncio.subprocess.Process:
    rights: Mapping[str, Any] = {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()} if _can_drop_rights() else {}
    try:
        return await asyncio.create_subprocess_exec(
            str(path),
            cwd="/",
            env=environment(target),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            **rights,
        )
    except OSError as error:
        if error.errno in OWN_FAULT:
            raise CannotProbe(f"{path}: {error.strerror}") from error
        raise ProbeFailed(f"{path} cannot be run: {(error.strerror or str(error)).lower()}") from error


async def _said(output: asyncio.StreamReader) -> str:
    """Read until it writes no more; keep the first line."""
    kept = b""
    while data := await output.read(_MOST_OUTPUT):
        kept += data[: _MOST_OUTPUT - len(kept)]
    lines = kept.decode(errors="replace").splitlines()
    line = lines[0] if lines else ""
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:_SHOWN]


def _how(code: int) -> str:
    return f"with {code}" if code > 0 else f"by {signal.strsignal(-code) or -code}".lower()


@lru_cache(maxsize=1)
def _can_drop_rights() -> bool:
    """Whether this service may become another user: a sandbox may have taken that from it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return effective & _RIGHTS == _RIGHTS
