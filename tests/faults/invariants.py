"""What is true of the journal at any time, whatever happened. Pure: events in, sentences about what is wrong out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]


def broken(events: Sequence[Event]) -> list[str]:
    """Look at a journal from its beginning: each event once and in order, no event missing, no generation twice."""
    return [*_order(events), *_gaps(events), *_generations(events)]


def _order(events: Sequence[Event]) -> Iterable[str]:
    cursors = [event["cursor"] for event in events]
    if cursors != sorted(set(cursors)):
        yield f"cursors are not in order, or not once each: {cursors}"


def _gaps(events: Iterable[Event]) -> Iterable[str]:
    """Sequences of a minion's boot go on from 1; boots only grow. A hole is an event that was acknowledged and lost."""
    by_minion: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        by_minion[event["minion"]].append((event["boot"], event["sequence"]))
    for minion, identities in by_minion.items():
        boot, sequence = 0, 0
        for identity in identities:
            expected = (boot, sequence + 1) if identity[0] == boot else (identity[0], 1)
            if identity != expected or identity[0] < boot:
                yield f"{minion or 'the master'}: event {identity} follows {(boot, sequence)}"
            boot, sequence = identity


def _generations(events: Iterable[Event]) -> Iterable[str]:
    started = [event["data"]["generation"] for event in events if event["type"] == "push.started"]
    if started != sorted(set(started)):
        yield f"generations that were pushed are not once each and growing: {started}"


def unlike(journal: Sequence[Event], subscriber: Sequence[Event]) -> list[str]:
    """Compare the journal with what a subscriber got: the same events, up to where the shorter one ends."""
    both = min(len(journal), len(subscriber))
    pairs = zip(journal[:both], subscriber[:both], strict=True)
    differing = next(((ours, theirs) for ours, theirs in pairs if ours != theirs), None)
    return [] if differing is None else [f"the journal has {differing[0]}, a subscriber got {differing[1]}"]
