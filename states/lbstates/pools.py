"""Verdicts on the real servers of a service -> the weights that they get, and whether an edit leaves enough of them.

The pool of a service are its real servers that have a weight and were in it rightfully at some time: one that never passed
has never taken a connection, so leaving it out takes nobody away. As long as not a single one ever passed, the check
itself may be wrong, and the pool are all of them. Only decides, from nothing but what it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from .balancing import Pool, ServiceDestination, VirtualService
from .desired import DirectorState
from .health import UNPROVEN, Verdict

SLOW_STEPS: Final = 10
"""A slow start gives a destination its weight in so many steps."""


class PoolDecision(msgspec.Struct, frozen=True):
    """What follows for one service; destinations are named by identity, in the order of the service.

    `weights`: only where another weight than the state alone would give is due. `out`: those that their checks keep out of
    the pool (to be handed in at the next decision). `failing`: all whose checks fail; `kept`: those of them that stay in,
    because too many others are out, which makes the pool `frozen`. `sorry`: the sorry server answers. `suspect`: the
    check has passed nowhere. `changes_at`: when a slow start's next step is due, without anything else happening.
    """

    weights: Mapping[str, int] = {}
    out: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    sorry: bool = False
    suspect: bool = False
    changes_at: float | None = None

    @property
    def frozen(self) -> bool:
        """Whether more of the pool fail than may be out."""
        return bool(self.kept)


def may_be_out(pool: Pool, size: int) -> int:
    """Return how many of `size` real servers may be out at once."""
    return size * pool.most_out // 100


def decide(
    service: VirtualService, verdicts: Mapping[str, Verdict], now: float, out: Collection[str] = ()
) -> PoolDecision:
    """Decide for one service; a destination without verdict is unproven. `out` is what was decided before.

    Who is out stays out until it answers, also when somebody drains another one meanwhile.
    """
    if service.check is None:
        return PoolDecision()
    watched = [
        (service.identity_of(destination), destination) for destination in service.destinations if destination.weight
    ]
    found = {identity: verdicts.get(identity, UNPROVEN) for identity, _ in watched}
    drained = [identity for identity, destination in watched if destination.drained]
    taking = [identity for identity, destination in watched if not destination.drained]
    up = [identity for identity in taking if found[identity].state == "up"]
    down = [identity for identity in taking if found[identity].state == "down"]
    unproven = tuple(identity for identity in taking if found[identity].state == "unproven")
    sorry = service.pool.sorry if not up and (down or not unproven) else None
    if sorry is not None and (sorry.drained or not sorry.weight):
        sorry = None
    kept = _kept(service.pool, found, drained, taking, out) if sorry is None else frozenset()
    weights = {identity: 0 for identity in (*down, *unproven) if identity not in kept}
    full = dict(watched)
    rising = _rising(service.pool, found, {identity: full[identity].weight for identity in up}, now)
    if sorry is not None:
        weights[service.identity_of(sorry)] = 1
    return PoolDecision(
        weights=weights | {identity: weight for identity, (weight, _) in rising.items()},
        out=tuple(identity for identity in down if identity not in kept),
        kept=tuple(identity for identity in down if identity in kept),
        failing=tuple(identity for identity, _ in watched if found[identity].state == "down"),
        unproven=unproven,
        sorry=sorry is not None,
        suspect=bool(down) and not up and not unproven and not any(found[it].proven for it in taking),
        changes_at=min((due for _, due in rising.values()), default=None),
    )


def _kept(
    pool: Pool,
    found: Mapping[str, Verdict],
    drained: Sequence[str],
    taking: Sequence[str],
    out: Collection[str],
) -> frozenset[str]:
    """Name those that fail and have to stay in: drains come first, then those that were out, then who failed first."""
    members = [identity for identity in taking if found[identity].established]
    if not members:
        if any(found[identity].state == "unproven" for identity in taking):
            return frozenset()  # their probes may bring somebody in, and a verdict is near
        members = list(taking)
    failing = [identity for identity in members if found[identity].state == "down"]
    failing.sort(key=lambda identity: (identity not in out, found[identity].since, identity))
    allowed = may_be_out(pool, len(members) + len(drained))
    going = max(0, allowed - len(drained))
    if len(failing) < len(members):
        # Somebody answers: to give connections back to one that is known to fail would help nobody.
        going = max(going, min(allowed, sum(identity in out for identity in failing)))
    return frozenset(failing[going:])


def _rising(
    pool: Pool, found: Mapping[str, Verdict], full: Mapping[str, int], now: float
) -> dict[str, tuple[int, float]]:
    """Return the weight of each destination in its slow start, and when its next step is due."""
    rising = {}
    for identity, weight in full.items():
        recovered = found[identity].recovered
        if recovered is None or not 0 <= now - recovered < pool.slow_start:
            continue
        step = int((now - recovered) * SLOW_STEPS / pool.slow_start)
        now_due = max(1, weight * step // SLOW_STEPS)
        if now_due < weight:
            rising[identity] = (now_due, recovered + (step + 1) * pool.slow_start / SLOW_STEPS)
    return rising


# --- edits -----------------------------------------------------------------------------------------------------------


def edit_problems(old: DirectorState, new: DirectorState, failing: Collection[str] = ()) -> tuple[str, ...]:
    """Say of which services a push would take out more than may be out at once; `failing` are destinations by identity.

    What counts is the pool of the old state, and who of it would still take connections: what is removed, drained, given
    weight 0 or fails does not. A service whose pool is unharmed by the edit is none of its problems, and neither is one that
    is removed as a whole.
    """
    later = {service.key: service for service in new.services}
    return tuple(
        problem
        for service in old.services
        if (after := later.get(service.key)) is not None
        for problem in _edit_problem(service, after, failing)
    )


def _edit_problem(old: VirtualService, new: VirtualService, failing: Collection[str]) -> Iterator[str]:
    before = [old.identity_of(it) for it in old.destinations if it.weight]
    taking_before = {old.identity_of(it) for it in old.destinations if it.weight and not it.drained}
    taking_after = {new.identity_of(it) for it in new.destinations if it.weight and not it.drained}
    lost = taking_before - taking_after
    # New ones have yet to pass: they are no replacement at the moment of the push.
    left = [identity for identity in before if identity in taking_after and identity not in failing]
    floor = len(before) - may_be_out(old.pool, len(before))
    if lost and len(left) < floor:
        fails = [identity for identity in before if identity in failing and identity in taking_after]
        taken = f"{_names(old, lost)} {'is' if len(lost) == 1 else 'are'} taken out"
        also = f", and {_names(old, fails)} {'fails' if len(fails) == 1 else 'fail'}" if fails else ""
        yield (
            f"{old.identity}: {taken}{also}: {len(left)} of {len(before)} real servers would be left, and "
            f"`most_out: {old.pool.most_out}` asks for {floor} of them; push it in two steps, or raise `most_out` before"
        )


def _names(service: VirtualService, identities: Collection[str]) -> str:
    names = [_name(it) for it in service.destinations if service.identity_of(it) in identities]
    return ", ".join(dict.fromkeys(names))


def _name(destination: ServiceDestination) -> str:
    return destination.host or destination.address
