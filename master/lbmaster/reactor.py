"""Events -> reactions, by the table in the configuration. Pure. What a reaction does is in the code, never in the table."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from .config import Reaction

MOST: Final = 20
"""Reactions in one cluster within `WITHIN` seconds; more is a loop, of events that reactions cause."""
WITHIN: Final = 10.0


class ReconcileCluster(msgspec.Struct, frozen=True):
    """Have every host of the cluster compare and heal; `reason` is for the journal."""

    cluster: str
    reason: str


def react(
    table: Iterable[Reaction], event_type: str, cluster: str, host: str, data: Mapping[str, Any]
) -> ReconcileCluster | None:
    """Find what the table wants done about an event, if anything."""
    if not cluster:
        return None
    for reaction in table:
        if fnmatchcase(event_type, reaction.on) and all(
            data.get(name) == value for name, value in reaction.where.items()
        ):
            subject = data.get("instance") or host
            return ReconcileCluster(cluster, f"{event_type} of {subject}"[:200])
    return None


class Brake:
    """Stops reactions that run wild."""

    def __init__(self) -> None:
        self._past: dict[str, deque[float]] = {}

    def allows(self, cluster: str, now: float) -> bool:
        """Whether there may be another reaction in this cluster now; counts it."""
        past = self._past.setdefault(cluster, deque(maxlen=MOST))
        if len(past) == MOST and now - past[0] < WITHIN:
            return False
        past.append(now)
        return True
