"""The exit codes, in one table: scripts rely on them."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NO_MASTER: Final = 3
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

MEANINGS: Final = {
    OK: "done; for push: every host has converged",
    FAILED: "it was tried and did not succeed, or the master refused it",
    USAGE: "wrong usage, or a wrong cluster file or configuration",
    NO_MASTER: "no master answers, or this user may not ask it",
    INTERRUPTED: "interrupted with Ctrl-C",
    PIPE_CLOSED: "the reader of the output went away",
}

HELP: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())
"""For help texts; the \\b keeps click from filling the lines."""

_BY_KIND: Final = {"bad_file": USAGE, "not_allowed": NO_MASTER}


def of_refusal(kind: str) -> int:
    """Map the kind of an error that the master answered with."""
    return _BY_KIND.get(kind, FAILED)
