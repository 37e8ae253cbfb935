"""Whether a director can take a VIP over, and which one should. Pure: from what its minion last said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from lbstates.desired import DirectorState

from .view import Minion

_SHOWN: Final = 3
_STATES: Final[Mapping[str, str]] = {
    "FAULT": "is in FAULT: an interface that it tracks is down, or it gave up",
    "STOP": "has left the election: keepalived does not run there",
}


class Candidate(msgspec.Struct, frozen=True):
    """What is known of a director. `states` by VRRP instance, `failing` destinations by identity; `away` was said by operators.

    `trouble`: what is the matter with its keepalived ("": nothing).
    """

    name: str
    online: bool = False
    applied: int = 0
    drift: int = 0
    states: Mapping[str, str] = {}
    trouble: str = ""
    failing: frozenset[str] = frozenset()
    away: bool = False


def candidate(name: str, cluster: str, minion: Minion, away: Collection[str]) -> Candidate:
    """Put together what is known of a director of a cluster."""
    sample = minion.sample
    holding = minion.holdings.get(cluster)
    return Candidate(
        name,
        online=minion.believed,
        applied=holding.applied if holding else 0,
        drift=minion.drift,
        states={instance: role.state for instance, role in minion.roles.items()},
        trouble=sample.keepalived if sample else "",
        failing=frozenset(sample.health.failing) if sample else frozenset(),
        away=name in away,
    )


def unfit(it: Candidate, holder: Candidate | None, instances: Collection[str], released: int) -> tuple[str, ...]:
    """Say why a director should not take these instances from their holder (None: nobody has them); () if it can.

    Its IPVS table: the released generation is in force there, and nothing differs. Its checks: it reaches every real server
    that the holder reaches. Its view of the network: it hears the holder's advertisements, else it would not be BACKUP.
    """
    found = []
    if it.away:
        found.append("it was evacuated, or is in maintenance")
    if not it.online:
        # All else is as old as its last word.
        return (*found, "its minion is not heard of")
    if it.applied != released:
        found.append(f"generation {it.applied} is in force there, not {released}")
    if it.drift:
        found.append(f"{it.drift} of the things that it shall have are not as they shall be")
    if it.trouble:
        found.append(f"its keepalived: {it.trouble}")
    found += [f"{instance}: it {wrong}" for instance in instances if (wrong := _wrong(it.states.get(instance)))]
    lost = sorted(it.failing - (holder.failing if holder else frozenset()))
    if holder is not None and lost:
        more = f" and {len(lost) - _SHOWN} others" if len(lost) > _SHOWN else ""
        found.append(f"real servers fail there that {holder.name} reaches: {', '.join(lost[:_SHOWN])}{more}")
    return tuple(found)


def _wrong(state: str | None) -> str:
    if state in ("BACKUP", "MASTER"):
        return ""
    return _STATES.get(state or "", "has told nothing of its state yet")


def ranking(state: DirectorState, instance: str) -> tuple[str, ...]:
    """Order the directors by their priorities in the file's own election, without adjustments; () for an unknown one."""
    found = next((it for it in state.instances if it.name == instance), None)
    return () if found is None else tuple(sorted(found.priorities, key=lambda name: -found.priorities[name]))


def choose(
    candidates: Sequence[Candidate], holder: Candidate | None, instances: Collection[str], released: int
) -> tuple[str | None, dict[str, tuple[str, ...]]]:
    """Return the first that is fit but for the holder, and why those before it are not; `candidates` in their ranking."""
    reasons: dict[str, tuple[str, ...]] = {}
    for it in candidates:
        if holder is not None and it.name == holder.name:
            continue
        reasons[it.name] = unfit(it, holder, instances, released)
        if not reasons[it.name]:
            return it.name, reasons
    return None, reasons
