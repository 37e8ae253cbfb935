"""One push after the other while faults happen at random: what is drawn by a seed, and how it is run."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults import allowance
from tests.faults.allowance import Course, Losing
from tests.faults.fault import Fault
from tests.faults.field import Field
from tests.faults.figures import REQUEST_SECONDS, Window, figures, not_allowed
from tests.faults.running import Row, said
from tests.faults.variants import Variant, any_variant

from story.hosts import Unexpected

PUSHES: Final = "pushes in a row while faults happen at random"
"""Its name in the table: it is no single fault."""
AGAIN_SECONDS: Final = 120.0
AFTERWARDS_SECONDS: Final = 15.0
"""After a fault was undone, in which VIPs go home."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One push, and the fault that happens meanwhile, if any; both of which last some `seconds` at least."""

    variant: Variant
    fault: Fault | None = None
    seconds: float = 0.0


def drawn(seed: int, pushes: int, faults: int, pool: Sequence[Fault]) -> list[Turn]:
    """Draw the turns; the same seed gives the same."""
    chance = random.Random(seed)
    faulty = set(chance.sample(range(pushes), faults))
    return [
        Turn(any_variant(chance), chance.choice(pool), chance.uniform(1, 8)) if number in faulty
        else Turn(any_variant(chance))
        for number in range(pushes)
    ]  # fmt: skip


@dataclass
class Account:
    """What came of the turns so far: outcome of a push -> count, and the windows in which requests may be lost."""

    outcomes: dict[str, int] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)

    def count(self, answer: dict[str, Any]) -> None:
        outcome = "refused" if "error" in answer else str(answer["outcome"])
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


def take(turn: Turn, ground: Field, account: Account) -> None:
    """Take one turn. Raises `Unexpected` when the cluster does not get whole again."""
    if turn.fault is None:
        answer = ground.push(turn.variant)
        account.count(answer)
        if answer.get("outcome") != "converged":
            raise Unexpected(f"a push without any fault did not converge: {json.dumps(answer)}")
        return
    begun = time.time()
    turn.fault.do(ground)
    done = time.time()
    try:
        account.count(ground.push(turn.variant))
        time.sleep(max(0.0, turn.seconds - (time.time() - done)))
    finally:
        turn.fault.undo(ground)
    undone = time.time()
    ground.hosts.until(lambda: _converges(turn.variant, ground), "a push converges again", within=AGAIN_SECONDS)
    ground.settle()
    moved = ground.moves(begun) if turn.fault.losing is not Losing.NOTHING else ()
    course = Course(begun, done, undone, [moment for moment in moved if moment < undone + AFTERWARDS_SECONDS])
    account.windows += allowance.windows(
        turn.fault.losing, ground.timers, ground.checks, course, len(ground.cast.real_servers)
    )


def _converges(variant: Variant, ground: Field) -> bool:
    return ground.push(variant).get("outcome") == "converged"


def soak(ground: Field, seed: int, pushes: int, faults: int, pool: Sequence[Fault]) -> Row:
    """Push so many times, with a fault during so many of the pushes. Raises `Unexpected` for what does not hold."""
    ground.settle()
    account, cursor, begun = Account(), ground.subscriber.cursor, time.time()
    for turn in drawn(seed, pushes, faults, pool):
        take(turn, ground, account)
    whole = ground.settle()
    # As in `running.run`: what began before that was answered by then, or is lost.
    ground.load.past(whole + REQUEST_SECONDS)
    requests = ground.load.all_of(begun, whole)
    wrong = said(not_allowed(requests, account.windows), account.windows) + ground.lost_events()
    if wrong:
        raise Unexpected(f"pushes with the seed {seed}: " + "\n".join(wrong))
    seen = figures(requests, begun, whole, begun)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(account.outcomes.items()))
    return Row(
        name=PUSHES,
        sent=seen.sent,
        lost=seen.lost,
        window=round(sum(window.end - window.begin for window in account.windows), 1),
        gap=round(seen.gap, 2),
        back=0.0,
        whole=round(whole - begun, 1),
        both=round(ground.both(begun), 2),
        events=dict(Counter(event["type"] for event in ground.subscriber.since(cursor))),
        remark=f"{pushes} pushes ({outcomes}), {faults} faults, seed {seed}",
    )
