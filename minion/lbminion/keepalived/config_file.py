"""keepalived.conf: tested by keepalived itself, replaced in one step, and what somebody else wrote is kept.

What the text says is not our business here; whether keepalived runs with it is process.py's and control.py's.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lbminion import programs
from lbservice.files import sync_directory, write_atomically
from lbstates.kinds.keepalived import MARKER

from .errors import ConfigRefused
from .paths import KeepalivedPaths

_BACKUP_SUFFIX: Final = ".before-lbmaster"
_TEST_SECONDS: Final = 20.0
# Messages after which keepalived runs exactly what the text says, or (the password) the same on every director.
_HARMLESS: Final = ("Truncating auth_pass", "SECURITY VIOLATION", "NOTICE", "resolved by path search")
_LINE: Final = re.compile(r"\((?:[^()]*: )?Line (\d+)\) ?")


@dataclass(frozen=True, slots=True)
class Finding:
    """One message of `keepalived --config-test`; `line` counts from 1, None when keepalived names none."""

    text: str
    line: int | None = None
    fatal: bool = True

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Replaced:
    """`backup` is where a file of somebody else's now lies (None: there was none to keep)."""

    changed: bool
    backup: Path | None = None


def is_ours(text: str) -> bool:
    """Tell whether lbmaster wrote this file: its first line says so."""
    return text.startswith(MARKER)


def judge(returncode: int, output: str) -> tuple[Finding, ...]:
    """Turn what the test said into findings; empty means that keepalived has nothing to say.

    The exit code alone is no verdict: it is 5 for a mere warning and 0 for a missing file. So each message is judged,
    and one that is not known to be harmless is fatal.
    """
    findings = []
    for raw in dict.fromkeys(line.strip() for line in output.splitlines()):
        if not raw:
            continue
        place = _LINE.search(raw)
        text = _LINE.sub("", raw, count=1)
        harmless = any(words in raw for words in _HARMLESS)
        findings.append(Finding(text, int(place[1]) if place else None, fatal=not harmless))
    if returncode != 0 and not findings:
        findings.append(Finding(f"keepalived --config-test ended with {returncode} and said nothing"))
    return tuple(findings)


async def check(text: str, paths: KeepalivedPaths) -> tuple[Finding, ...]:
    """Have keepalived test the text on this host (interfaces must exist), and return its harmless findings.

    Raises `ConfigRefused` with keepalived's own words, `KeepalivedMissing`, `OSError` (no place for the temporary file).
    """
    program = paths.executable()
    if not text.strip():
        raise ConfigRefused("the configuration is empty: keepalived would start and do nothing")
    descriptor, temporary = tempfile.mkstemp(prefix="keepalived-test.", dir=paths.runtime)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        findings = judge(*await _run(program, "--config-test", f"--use-file={temporary}"))
    finally:
        os.unlink(temporary)  # noqa: PTH108 - a small file on /run, at once
    fatal = [str(finding) for finding in findings if finding.fatal]
    if fatal:
        raise ConfigRefused(f"keepalived refuses the new {paths.config}, the old one stays: " + "; ".join(fatal))
    return findings


async def _run(*command: str) -> tuple[int, str]:
    try:
        return await programs.run(*command, seconds=_TEST_SECONDS)
    except TimeoutError:
        raise ConfigRefused(f"keepalived --config-test gave no answer within {_TEST_SECONDS:.0f} s") from None


def read(paths: KeepalivedPaths) -> str:
    """Return the whole text, "" when there is no file. Bytes that are no UTF-8 survive a round trip. Raises `OSError`."""
    try:
        return paths.config.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""


def replace(text: str, paths: KeepalivedPaths) -> Replaced:
    """Put the text in place in one step, readable by its owner only (it may hold a password).

    A file that is not ours is first copied beside it, and no older copy is ever overwritten. "" removes the file.
    Raises `OSError`; the old file is whole then.
    """
    old = read(paths)
    if old == text:
        return Replaced(changed=False)
    backup = None if not old or is_ours(old) else _back_up(old, paths.config)
    if text:
        paths.config.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(paths.config, text.encode(errors="surrogateescape"))
    else:
        paths.config.unlink()
        sync_directory(paths.config.parent)
    return Replaced(changed=True, backup=backup)


def _back_up(text: str, config: Path) -> Path:
    """Keep a foreign file once: the same content a second time needs no second copy."""
    content = text.encode(errors="surrogateescape")
    first = config.with_name(config.name + _BACKUP_SUFFIX)
    number, candidate = 0, first
    while candidate.is_symlink() or candidate.exists():
        if candidate.is_file() and candidate.read_bytes() == content:
            return candidate
        number += 1
        candidate = first.with_name(f"{first.name}.{number}")
    write_atomically(candidate, content)
    return candidate
