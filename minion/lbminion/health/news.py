"""What the journal is told of real servers and pools: verdicts and decisions -> events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.health import Changed, Flapped, Happening, Verdict
from lbstates.kinds.service import endpoint
from lbstates.pools import PoolDecision
from lbwire import events, health_events

from .targets import Watched
from .verdicts import Pool

_MOST_NAMES: Final = 100
_MOST_REASON: Final = 200


def of_destination(watched: Watched, before: Verdict, happenings: Iterable[Happening]) -> list[events.Data]:
    """Tell of one real server; that a new one passed its first probe is no news."""
    found: list[events.Data] = []
    where = watched.service.identity, address_of(watched.destination), watched.real_server
    for happening in happenings:
        match happening:
            case Changed(state, reason, seconds):
                if before.state != "unproven" or state != "up":
                    found.append(health_events.HealthChanged(*where, state, reason[:_MOST_REASON], seconds))
            case Flapped(times, seconds, rise):
                found.append(health_events.HealthFlapping(*where, times, seconds, rise))
    return found


def of_pool(
    service: VirtualService, before: Pool, decision: PoolDecision, now: float, reason: str
) -> tuple[Pool, list[events.Data]]:
    """Tell what has become of a pool, and return what there is to be remembered of it; `reason`: of a failed probe."""
    found: list[events.Data] = []
    frozen, sorry = before.frozen, before.sorry
    if decision.frozen and frozen is None:
        frozen = now
        failing, kept = (_names(service, named) for named in (decision.failing, decision.kept))
        found.append(health_events.PoolFrozen(service.identity, failing, kept, service.pool.most_out))
    elif not decision.frozen and frozen is not None:
        found.append(health_events.PoolThawed(service.identity, max(0.0, now - frozen)))
        frozen = None
    if decision.sorry and sorry is None and service.pool.sorry is not None:
        sorry = now
        found.append(health_events.PoolSorry(service.identity, name_of(service.pool.sorry)))
    elif not decision.sorry and sorry is not None:
        found.append(health_events.PoolRecovered(service.identity, max(0.0, now - sorry)))
        sorry = None
    if decision.suspect and not before.suspect and service.check is not None:
        found.append(health_events.CheckSuspect(service.identity, service.check.kind, reason[:_MOST_REASON]))
    return Pool(decision.out, frozen, sorry, decision.suspect), found


def name_of(destination: ServiceDestination) -> str:
    """Name a real server as people know it."""
    return destination.host or destination.address


def address_of(destination: ServiceDestination) -> str:
    """Write where a real server is in a service."""
    return endpoint(destination.address, destination.port)


def _names(service: VirtualService, identities: Iterable[str]) -> tuple[str, ...]:
    wanted = set(identities)
    names = [name_of(it) for it in service.destinations if service.identity_of(it) in wanted]
    more = len(names) - _MOST_NAMES
    return tuple(names) if more <= 0 else (*names[:_MOST_NAMES], f"and {more} more")
