"""Run one program of the machine and turn its failure into a ``LabError``. No knowledge of the lab lives here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from microvm.errors import LabError

TAIL_LINES = 25


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a text, indented, for an error message."""
    return "\n".join("  | " + line for line in text.splitlines()[-lines:])


def run(
    argv: Sequence[str | Path],
    *,
    what: str,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    stdin: Path | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program to its end and return its standard output.

    ``what`` completes "could not ..." in the message. Raises ``LabError`` when the program is missing, takes longer
    than ``timeout`` seconds, or ends with another code than 0.
    """
    words = [str(word) for word in argv]
    environment = dict(os.environ if env is None else env)
    environment["PATH"] = environment.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    source = stdin.open("rb") if stdin else None
    try:
        done = subprocess.run(
            words,
            stdin=source or subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"could not {what}: {words[0]}: no such program") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"could not {what}: {words[0]} did not end within {timeout:.0f} s") from error
    finally:
        if source:
            source.close()
    if done.returncode:
        output = tail(done.stderr.strip() or done.stdout.strip())
        raise LabError(f"could not {what}: {words[0]} ended with code {done.returncode}\n{output}")
    return done.stdout
