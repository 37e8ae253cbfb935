"""Waiting for what has no descriptor to wait on (files that appear, processes that are not children), within a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

_FIRST_PAUSE: Final = 0.005
_LAST_PAUSE: Final = 0.1

Value = TypeVar("Value")


async def until(look: Callable[[], Value | None], within: float) -> Value | None:
    """Return the first true answer of `look`, or its last one (None or false) after `within` seconds."""
    deadline = time.monotonic() + within
    pause = _FIRST_PAUSE
    while True:
        value = look()
        if value or time.monotonic() >= deadline:
            return value
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE)
