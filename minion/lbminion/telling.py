"""What the journal is told about looks at the host: each thing once, not at every look. Touches no host.

What was told last is remembered here, so that only a change of what is wrong, or a new push, is news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lbstates.plan import Change, Plan
from lbwire import events

from .contests import Contested, Settled
from .jobs import Outcome
from .notes import errors, named, told
from .policy import Key


class Telling:
    """`report` raises an event (data, cluster); `cluster` names the one that host-wide happenings are filed under."""

    def __init__(self, report: Callable[[events.Data, str], object], cluster: Callable[[], str]) -> None:
        self._report, self._cluster = report, cluster
        self._standing: frozenset[Change] = frozenset()
        self._reported: frozenset[Change] = frozenset()
        self._unhealed: tuple[Plan, tuple[str, ...]] | None = None
        self._foreign: frozenset[str] = frozenset()

    def found(self, trigger: str, outcome: Outcome) -> None:
        """Something is to be healed, or would be if the policy said so; before anything is done about it."""
        reported = outcome.left_because("reported")
        if trigger != "push" and not outcome.unapplied:
            plan = outcome.without_reweighted(outcome.plan)
            if fresh := [it for it in (*plan, *reported) if it not in self._standing]:
                self._say(events.DriftFound(trigger, told(fresh)))
            if gone := [it for it in self._reported if it not in reported and it not in outcome.plan]:
                self._say(events.DriftGone(told(gone)))
        self._reported = frozenset(reported)

    def concluded(self, trigger: str, outcome: Outcome, seconds: float) -> tuple[tuple[str, int], ...]:
        """A look is over; returns the (cluster, generation) that are in force by it."""
        if not outcome.unreadable:
            self._standing = frozenset((*outcome.remaining, *(left.change for left in outcome.left)))
        if outcome.remaining or outcome.errors:
            self._say_unhealed(trigger, outcome)
            return ()
        self._unhealed = None
        if outcome.unapplied:
            return self._say_applied(outcome, seconds)
        if healed := outcome.without_reweighted(outcome.healed):
            self._say(events.DriftHealed(trigger, told(healed), seconds))
        return ()

    def _say_applied(self, outcome: Outcome, seconds: float) -> tuple[tuple[str, int], ...]:
        """What an operator, or somebody else, keeps from being in force is not in force."""
        if len(outcome.left) > len(outcome.left_because("reported")):
            return ()
        for cluster, generation in outcome.unapplied.items():
            self._report(events.StateApplied(generation, told(outcome.plan), seconds), cluster)
        return tuple(outcome.unapplied.items())

    def _say_unhealed(self, trigger: str, outcome: Outcome) -> None:
        said = (outcome.remaining, outcome.errors)
        if trigger == "push":
            undone = [change.describe() for change in outcome.remaining]
            reason = (
                "; ".join(errors(outcome.errors)) or f"still to be done after applying: {'; '.join(errors(undone))}"
            )
            for cluster, generation in outcome.unapplied.items():
                self._report(events.StateRefused(generation, "apply", reason), cluster)
        elif said != self._unhealed:
            self._say(events.DriftUnhealed(trigger, told(outcome.remaining), errors(outcome.errors)))
        self._unhealed = said

    def adopted(self, identities: Mapping[str, tuple[str, ...]]) -> None:
        """These were there before us, just as they shall be."""
        for kind, of_kind in identities.items():
            self._say(events.Adopted(kind, named(of_kind)))

    def foreign(self, identities: Iterable[str]) -> None:
        """These are none of ours; told when there are new ones among them."""
        found = frozenset(identities)
        if found - self._foreign:
            self._say(events.Foreign(named(sorted(found))))
        self._foreign = found

    def contested(self, contests: Iterable[Contested[Key]]) -> None:
        """Somebody keeps changing these back."""
        for contest in contests:
            for kind, identities in _by_kind(contest.keys):
                self._say(events.DriftContested(kind, named(identities), contest.times, contest.seconds, contest.pause))

    def settled(self, contests: Iterable[Settled[Key]]) -> None:
        """Nobody does any more."""
        for contest in contests:
            for kind, identities in _by_kind(contest.keys):
                self._say(events.DriftSettled(kind, named(identities), contest.times, contest.seconds))

    def _say(self, data: events.Data) -> None:
        self._report(data, self._cluster())


def _by_kind(keys: Iterable[Key]) -> list[tuple[str, tuple[str, ...]]]:
    found: dict[str, list[str]] = {}
    for kind, identity in keys:
        found.setdefault(kind, []).append(identity)
    return [(kind, tuple(sorted(identities))) for kind, identities in sorted(found.items())]
