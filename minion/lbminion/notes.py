"""Changes of a plan, as they travel and as people read them.

An event has to fit into the master's journal, and the answers of many hosts into one line, however large their plans are:
`told`, `named` and `errors` tell the beginning, and count the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from lbstates.plan import Change
from lbwire.messages import Step

_MOST_STEPS: Final = 500
_MOST_CHARACTERS: Final = 100_000
_MOST_DETAIL: Final = 32_000
_STEP_CHARACTERS: Final = 80
"""What the names of a step's fields take beside their values."""
_MOST_NAMES: Final = 1000
_MOST_TEXTS: Final = 20
_MOST_TEXT: Final = 500


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


def told(changes: Sequence[Change]) -> tuple[Step, ...]:
    """Describe changes for an event: the first ones, and one step for what there is more of each kind and verb."""
    found: list[Step] = []
    room = _MOST_CHARACTERS
    for it in islice(map(step, changes), _MOST_STEPS):
        short = it if len(it.detail) <= _MOST_DETAIL else _shortened(it)
        room -= _STEP_CHARACTERS + sum(map(len, (it.kind, it.identity, it.before, it.after, short.detail)))
        if room < 0:
            break
        found.append(short)
    rest = Counter((it.kind, it.verb) for it in changes[len(found) :])
    found += (Step(kind, verb, f"({number} more)", count=number) for (kind, verb), number in rest.items())
    return tuple(found)


def _shortened(long: Step) -> Step:
    kept = long.detail[:_MOST_DETAIL].rpartition("\n")[0]
    more = long.detail.count("\n") - kept.count("\n")
    return Step(long.kind, long.verb, long.identity, long.before, long.after, f"{kept}\n({more} more lines)")


def named(identities: Sequence[str]) -> tuple[str, ...]:
    """Name identities for an event: the first thousand, and how many more there are."""
    more = len(identities) - _MOST_NAMES
    return tuple(identities) if more <= 0 else (*identities[:_MOST_NAMES], f"({more} more)")


def errors(texts: Sequence[str]) -> tuple[str, ...]:
    """Tell errors in an event: the first twenty, and how many more there are."""
    more = len(texts) - _MOST_TEXTS
    some = [text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..." for text in texts[:_MOST_TEXTS]]
    return (*some, f"and {more} more") if more > 0 else tuple(some)
