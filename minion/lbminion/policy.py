"""What of a plan may be done, and what is left as it is, and why: decided from what each cluster wants. Pure.

A host may be in several clusters that want different things done about drift. What any cluster wants healed is healed;
a generation that was released and is not yet in force is put in force whatever the policy says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from lbstates.desired import DirectorState, RoleState
from lbstates.kinds.destination import Destination
from lbstates.kinds.kind import Resource
from lbstates.kinds.registry import KIND_OF
from lbstates.plan import Change, Owned, Plan, Resources

Why: TypeAlias = Literal["held", "reported", "contested"]
"""An operator stopped keepalived; the cluster's policy is to report; somebody keeps changing it back."""

Key: TypeAlias = tuple[str, str]
"""Kind name and identity."""

_EXCLUSIVE: Final = ("service", "destination")
"""Kinds of which an exclusive cluster tolerates no foreign ones."""


class Left(NamedTuple):
    """A change that is not made."""

    change: Change
    why: Why


class Share(NamedTuple):
    """What one cluster wants on this host, in one role, and what it wants done about drift."""

    cluster: str
    heals: bool
    exclusive: bool
    resources: tuple[Resource, ...]


def share(state: RoleState, resources: tuple[Resource, ...]) -> Share:
    """Read the policy of a state of which `resources` were derived."""
    exclusive = isinstance(state, DirectorState) and state.exclusive and bool(resources)
    return Share(state.cluster, state.drift == "heal", exclusive, resources)


def with_foreign(owned: Owned, observed: Resources, shares: Iterable[Share]) -> Owned:
    """Count what is foreign as ours, and so as to be removed, where a cluster wants the table for itself."""
    if not any(share.exclusive for share in shares):
        return owned
    more = {kind: dict.fromkeys(observed.get(kind, {})) | dict(owned.get(kind, {})) for kind in _EXCLUSIVE}
    return {**owned, **more}


def part(
    plan: Plan, owned: Owned, shares: Sequence[Share], pushed: Collection[str], renewed: Collection[Key] = ()
) -> tuple[Plan, tuple[Left, ...]]:
    """Part a plan into what may be done, and what is only reported.

    `pushed` are the clusters with a generation that is to be put in force, `renewed` what is wanted otherwise than
    before because the host's part has changed (it became MASTER, say): neither is drift. What is ours and what no cluster
    wants any more is what is left of an earlier push, and is always done.
    """
    healing = [share for share in shares if share.heals or share.cluster in pushed]
    if not plan or len(healing) == len(shares):
        return plan, ()
    wanted = _keys(shares)
    healed = _keys(healing)
    alone = any(share.exclusive for share in healing)

    def may(change: Change) -> bool:
        key = key_of(change)
        if key in wanted:
            return key in healed or key in renewed
        return change.identity in owned.get(change.kind, {}) or alone

    return tuple(filter(may, plan)), tuple(Left(change, "reported") for change in plan if not may(change))


def waiting(plan: Plan, contested: Collection[Key]) -> tuple[Plan, tuple[Left, ...]]:
    """Part a plan into what may be done now, and what has to wait because somebody keeps changing it back.

    A destination waits with its service, without which it cannot be; one that is there need not wait for that.
    """
    if not contested:
        return plan, ()

    def waits(change: Change) -> bool:
        if key_of(change) in contested:
            return True
        if change.before is not None or not isinstance(change.after, Destination):
            return False
        return ("service", change.after.service) in contested

    return tuple(it for it in plan if not waits(it)), tuple(Left(it, "contested") for it in plan if waits(it))


def renewed(plan: Plan, before: Resources, now: Resources) -> frozenset[Key]:
    """Name what is to be changed because something else is desired than before, whatever the host has."""
    return frozenset(
        key_of(it) for it in plan if before.get(it.kind, {}).get(it.identity) != now.get(it.kind, {}).get(it.identity)
    )


def reweighted(plan: Plan, before: Resources, now: Resources) -> frozenset[Key]:
    """Name the destinations of which nothing but the weight is desired otherwise than before, and is to be changed."""
    was, wanted = before.get("destination", {}), now.get("destination", {})
    return frozenset(
        key_of(it)
        for it in plan
        if it.kind == "destination" and _other_weight(was.get(it.identity), wanted.get(it.identity))
    )


def reweighing(plan: Plan, watched: Collection[str]) -> Plan:
    """Pick what gives a destination, one of those named, another weight and nothing else: that builds on no other change."""
    return tuple(
        it for it in plan if it.kind == "destination" and it.identity in watched and _other_weight(it.before, it.after)
    )


def _other_weight(before: Resource | None, now: Resource | None) -> bool:
    if not isinstance(before, Destination) or not isinstance(now, Destination) or before == now:
        return False
    return msgspec.structs.replace(before, weight=now.weight) == now


def key_of(change: Change) -> Key:
    """Name what a change is of."""
    return change.kind, change.identity


def _keys(shares: Iterable[Share]) -> set[Key]:
    return {(KIND_OF[type(resource)].name, resource.identity) for share in shares for resource in share.resources}
