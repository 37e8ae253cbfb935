"""Changes of a plan, as they travel and as people read them."""

from __future__ import annotations

from collections.abc import Iterable

from lbstates.plan import Change
from lbwire.messages import Step


def steps(changes: Iterable[Change]) -> tuple[Step, ...]:
    """Describe changes in the order in which they come."""
    return tuple(step(change) for change in changes)


def step(change: Change) -> Step:
    """Describe one change."""
    return Step(
        kind=change.kind,
        verb=change.verb,
        identity=change.identity,
        before=change.before.describe() if change.before else "",
        after=change.after.describe() if change.after else "",
        detail="\n".join(change.details()),
    )
