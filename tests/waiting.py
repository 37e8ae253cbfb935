"""Waiting for a condition, within bounds: for what nobody tells of, so that it must be looked at again and again.

(Inside an event loop: `lbminion.keepalived.waiting`, which the minion itself uses.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], what: str | Callable[[], object] = "", within: float = 20.0) -> T:
    """Return the first true answer of `look`. Fails after `within` seconds with `what`, or with what that says then."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {within:g} s: {what() if callable(what) else what or 'what was waited for'}"
            )
        time.sleep(0.02)
    return seen
