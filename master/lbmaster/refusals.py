"""The telling of refusals: what minions sent and was dropped, counted by kind, so that a flood fills neither log nor journal.

What to refuse is decided elsewhere, and so is the journalling; times are the caller's.
"""

from __future__ import annotations

import logging
from typing import Final

from lbwire.errors import Refused
from lbwire.events import MessageRefused

logger = logging.getLogger(__name__)

TELL_SECONDS: Final = 10.0
TEXT_LIMIT: Final = 1000


class Refusals:
    """`add` counts one, `due` hands over what is to be journalled."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], MessageRefused] = {}
        self._told = 0.0

    def add(self, name: str, refusal: Refused) -> None:
        """Something that a minion sent was dropped: it is told with others of its kind."""
        before = self._waiting.get((name, refusal.reason))
        # The first of each kind until they are told: a flood must not fill the log.
        logger.log(logging.DEBUG if before else logging.WARNING, "a message of %s is refused: %s", name, refusal)
        count = before.count + 1 if before else 1
        text = f"from {name}: {refusal}"[:TEXT_LIMIT]
        self._waiting[name, refusal.reason] = MessageRefused(refusal.reason, text, count)

    def due(self, now: float) -> list[MessageRefused]:
        """Return what has gathered, each kind once; nothing again within `TELL_SECONDS`."""
        if now - self._told <= TELL_SECONDS:
            return []
        self._told = now
        told, self._waiting = list(self._waiting.values()), {}
        return told
