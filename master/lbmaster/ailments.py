"""What the checks of a cluster's hosts have found, put together: which real servers fail, and who says so. Pure.

Directors decide for themselves, so they may differ: that one of them sees it and the other one does not is worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lbstates.balancing import VirtualService
from lbstates.desired import DirectorState
from lbstates.pools import may_be_out
from lbwire.messages import Health

from .view import Minion

MOST: Final = 1000
"""So many are told; how many there are is told, too."""
_ORDER: Final = ("sorry", "frozen", "failing", "suspected", "unproven", "silent")
_OF_POOLS: Final = ("sorry", "frozen")


def ailments(state: DirectorState | None, minions: Mapping[str, Minion]) -> dict[str, Any]:
    """Tell for each service or destination what is found about it, and by which of the `minions` (by host).

    `count` is how many entries there are, `found` the first thousand of them, the gravest first.
    """
    services = {service.identity: service for service in state.services} if state is not None else {}
    names = {
        service.identity_of(it): it.host for service in services.values() for it in service.all_destinations if it.host
    }
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for host, minion in sorted(minions.items()):
        if minion.sample is None or not minion.believed:
            continue
        health = minion.sample.health
        for kind, what, said in _named(health):
            service = services.get(what.partition(" -> ")[0])
            if kind != "silent" and service is None:
                continue  # of another cluster that this host is in
            # A person knows the name, and an alarm at night does not say what an identity stands for.
            reason = f"{names[what]}: {said}" if said and what in names else said
            if service is not None and kind in _OF_POOLS:
                reason = _explained(kind, service, health)
            entry = found.setdefault((kind, what), {"kind": kind, "what": what, "hosts": [], "reason": reason})
            entry["hosts"].append(host)
    ordered = sorted(found.values(), key=lambda it: (_ORDER.index(it["kind"]), it["what"]))
    return {"count": len(ordered), "found": ordered[:MOST]}


def _explained(kind: str, service: VirtualService, health: Health) -> str:
    """Say what it means that a pool is frozen, or that its sorry server answers, and what to look at."""
    pool = [service.identity_of(it) for it in service.destinations if it.weight]
    fail = f"{sum(it in health.failing for it in pool)} of {len(pool)} fail"
    look = "look at what they share, and at the check itself"
    if kind == "sorry":
        return f"{fail}: {look}"
    return f"{fail}, {may_be_out(service.pool, len(pool))} may be out (`most_out`), the others stay in: {look}"


def _named(health: Health) -> Iterator[tuple[str, str, str]]:
    """Give kind, what it is about, and the reason if there is one."""
    yield from (("sorry", service, "") for service in health.sorry)
    yield from (("frozen", service, "") for service in health.frozen)
    yield from (("failing", destination, reason) for destination, reason in health.failing.items())
    yield from (("suspected", destination, "") for destination in health.suspected)
    yield from (("unproven", destination, "") for destination in health.unproven)
    yield from (("silent", endpoint, "") for endpoint in health.silent)
