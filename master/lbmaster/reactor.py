"""Events -> reactions, by the table in the configuration. Pure. What a reaction does is in the code, never in the table."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from .comparisons import Move, merged
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


@dataclass(slots=True)
class Causes:
    """What a batch of events gives rise to in one cluster; `yielded`: VRRP instance -> directors that left it."""

    reasons: list[str] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    yielded: dict[str, set[str]] = field(default_factory=dict)


def left_alone(yielded: Mapping[str, AbstractSet[str]], masters: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Pick what has exactly one MASTER now, who has to announce it: another one that yielded may have announced it last.

    keepalived does so when it hears an advertisement of the one that yields: not where the way between them heals in the
    other direction first. In a handover it is once more than needed.
    """
    alone = {instance: masters[instance] for instance in yielded if len(masters.get(instance, ())) == 1}
    return tuple(sorted(instance for instance, hosts in alone.items() if yielded[instance] - set(hosts)))


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


class Due(msgspec.Struct, frozen=True):
    """A cluster is to be compared now, because of something that happened at `since`; `moves` are what is told after.

    `announce` are the VRRP instances whose MASTER shall tell its neighbours once more where the VIPs are.
    """

    cluster: str
    reason: str
    moves: tuple[Move, ...]
    since: float
    announce: tuple[str, ...] = ()


def _together(before: Due, fresh: Due) -> Due:
    return Due(
        before.cluster,
        before.reason,
        merged((*before.moves, *fresh.moves)),
        before.since,
        tuple(sorted({*before.announce, *fresh.announce})),
    )


class Pace:
    """How fast clusters are compared: at once, until the brake holds; then VIPs that moved or are to be announced wait.

    What waits is `due` whenever that is asked for, so that a storm of transitions costs one comparison each time.
    """

    def __init__(self) -> None:
        self._brake = Brake()
        self._waiting: dict[str, Due] = {}
        self._left_out: dict[str, int] = {}

    def ask(
        self, cluster: str, reason: str, moves: Sequence[Move], now: float, announce: tuple[str, ...] = ()
    ) -> list[Due]:
        """Something happened; returns what is to be compared at once. With nothing to tell, too much is left out."""
        fresh = Due(cluster, reason, merged(moves), now, announce)
        if cluster not in self._waiting and self._brake.allows(cluster, now):
            return [fresh]
        if moves or announce:
            before = self._waiting.get(cluster)
            self._waiting[cluster] = fresh if before is None else _together(before, fresh)
        else:
            self._left_out[cluster] = self._left_out.get(cluster, 0) + 1
        return []

    def due(self) -> list[Due]:
        """Give what has waited."""
        found, self._waiting = list(self._waiting.values()), {}
        return found

    def left_out(self) -> dict[str, int]:
        """Tell how many were left out, by cluster, since this was asked last."""
        found, self._left_out = self._left_out, {}
        return found
