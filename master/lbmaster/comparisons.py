"""A reconcile of a whole cluster on its way: who has answered, and what it was for. Pure.

A failover is reported when the comparison that it caused is over, so that one event says what moved, how long it took
until every host was as it shall be, and what had to be healed for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lbwire.conclusions import Failover
from lbwire.messages import Reconciled, Step


@dataclass(frozen=True, slots=True)
class Move:
    """A VIP's MASTER came to `target`; `source` is "" if nobody held it before."""

    instance: str
    vips: tuple[str, ...]
    source: str
    target: str


def merged(moves: Iterable[Move]) -> tuple[Move, ...]:
    """Tell of each instance once, from where it was to where it is; one that is back where it was has not moved.

    Each transition is an event of its own, so nothing is lost by that; and a VIP that moves a thousand times in a moment is
    a thousand transitions, and one failover.
    """
    found: dict[str, Move] = {}
    for move in moves:
        before = found.get(move.instance, move)
        found[move.instance] = Move(move.instance, move.vips, before.source, move.target)
    return tuple(move for move in found.values() if move.source != move.target)


@dataclass(slots=True)
class Comparison:
    """`started` and `deadline` are on the caller's clock."""

    cluster: str
    command: int
    started: float
    deadline: float
    waiting: set[str]
    moves: tuple[Move, ...] = ()
    answers: dict[str, Reconciled] = field(default_factory=dict)

    def failovers(self, now: float) -> list[Failover]:
        """Say what moved; called when the comparison is over."""
        healed: dict[str, tuple[Step, ...]] = {host: a.healed for host, a in self.answers.items() if a.healed}
        silent = tuple(sorted(self.waiting))
        seconds = round(now - self.started, 6)
        return [
            Failover(move.instance, move.vips, move.source, move.target, seconds, healed, silent) for move in self.moves
        ]


class Comparisons:
    """Those that are not over yet."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], Comparison] = {}

    def begin(
        self, cluster: str, command: int, hosts: Iterable[str], now: float, seconds: float, moves: tuple[Move, ...] = ()
    ) -> Comparison:
        """A reconcile was sent to these hosts, which have so many seconds to answer."""
        comparison = Comparison(cluster, command, now, now + seconds, set(hosts), moves)
        self._open[cluster, command] = comparison
        return comparison

    def answered(self, host: str, answer: Reconciled) -> None:
        """Take in an answer; one to something else, or from somebody else, is skipped."""
        comparison = self._open.get((answer.cluster, answer.command))
        if comparison is not None and host in comparison.waiting:
            comparison.waiting.discard(host)
            comparison.answers[host] = answer

    def over(self, now: float) -> list[Comparison]:
        """Take out those to which everybody has answered, or whose time is up."""
        done = [
            comparison for comparison in self._open.values() if not comparison.waiting or now >= comparison.deadline
        ]
        for comparison in done:
            del self._open[comparison.cluster, comparison.command]
        return done
