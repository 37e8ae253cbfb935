"""Whether the last wave of a rollout hurts: what was seen of the cluster before it is compared with what is seen now. Pure.

A gate asks for what was in order before: a VIP that had one MASTER still has exactly one, and no check, pool or connection
is worse off on a director that has the new state. What was broken before the rollout began does not stop it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import msgspec

from lbstates.checks import Check
from lbstates.desired import DirectorState, RoleState
from lbwire.messages import Health

from .topology import Topology
from .view import View
from .waves import Wave

ADVERTS: Final = 4
"""A takeover takes three advertisement intervals and a bit."""
SAMPLE_SECONDS: Final = 5.0
"""Within so many seconds a director that lives has sent a sample."""
VERDICT_SECONDS: Final = 2.0
"""From a verdict to the sample that tells of it."""
_FEW: Final = 5


class Sight(msgspec.Struct, frozen=True):
    """What is seen of a cluster: instance -> who says MASTER, and what directors know of the health of services."""

    masters: dict[str, tuple[str, ...]] = {}
    health: dict[str, Health] = {}


class Patience(msgspec.Struct, frozen=True):
    """Seconds: for a takeover; that are always watched (`least`), and until every destination has a verdict (`most`)."""

    takeover: float = 8.0
    least: float = 0.0
    most: float = 0.0


class Trouble(msgspec.Struct, frozen=True):
    """For how many seconds something was wrong, as far as was looked: without a break until now, and in all of a wave."""

    lasting: float = 0.0
    total: float = 0.0
    wrong: bool = False
    looked: float = 0.0

    def seen(self, wrong: Collection[str], elapsed: float) -> Trouble:
        """Look again, `elapsed` seconds after the wave has applied: less than at the last look, and it is another wave."""
        if elapsed < self.looked:
            return Trouble(wrong=bool(wrong), looked=elapsed)
        more = elapsed - self.looked if self.wrong and wrong else 0.0
        return Trouble(self.lasting + more if wrong else 0.0, self.total + more, bool(wrong), elapsed)

    def beyond(self, seconds: float) -> bool:
        """Whether it lasts for too long, or has come back for so long that it is no single handover any more."""
        return self.lasting >= seconds or self.total >= 2 * seconds


class Judgement(msgspec.Struct, frozen=True):
    """`problems` say what hurts; `waiting` what cannot be told yet."""

    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def sight(view: View, topology: Topology) -> Sight:
    """Look at the directors that are believed."""
    seen = {host: view.minions[host].sample for host in topology.directors if view.is_there(host)}
    return Sight(view.masters(topology), {host: sample.health for host, sample in seen.items() if sample is not None})


def fresh(view: View, directors: Collection[str], since: float) -> frozenset[str]:
    """Name those of which a sample came after `since`, on the view's clock."""
    return frozenset(host for host in directors if view.is_there(host) and view.minions[host].sampled > since)


def judge(
    before: Sight,
    now: Sight,
    changed: Collection[str],
    unsampled: Collection[str],
    elapsed: float,
    patience: Patience,
    idle: Collection[str] = (),
    *,
    trouble: Trouble | None = None,
    below_floor: bool = False,
) -> Judgement:
    """Decide, `elapsed` seconds after the wave has applied.

    `trouble`: how long `elections` has had something to say; None: all the time.
    `changed` are the directors that have the new state; `unsampled` those of the wave of which no sample came since.
    `idle` destinations may fail; with `below_floor` pools may run short: somebody asked for that.
    """
    problems: list[str] = []
    waiting: list[str] = []
    # What a director said before it applied is about the state before, whose services may be gone.
    told = set(changed) - set(unsampled)
    over = (trouble or Trouble(elapsed)).beyond(patience.takeover)
    for said in elections(before, now):
        (problems if over else waiting).append(said)
    for host in sorted(unsampled):
        said = f"no sample of {host} since it applied"
        (waiting if elapsed < SAMPLE_SECONDS else problems).append(said)
    for said in _unproven(before, now, told, idle):
        (waiting if elapsed < patience.most else problems).append(said)
    problems += _worse(before, now, told, idle)
    problems += () if below_floor else _short(before, now, told)
    if not problems and elapsed < patience.least:
        waiting.append("the checks have changed: a whole round of them is watched")
    return Judgement(tuple(problems), tuple(waiting))


def patience(
    old: Mapping[str, RoleState], new: Mapping[str, RoleState], wave: Wave, grace: float, *, canary: bool
) -> Patience:
    """Say how long to look behind a wave: `old` and `new` are the states by role, `grace` that of a split brain."""
    will = new.get("director")
    if not isinstance(will, DirectorState):
        return Patience()
    takeover = grace + ADVERTS * max((instance.advert_interval for instance in will.instances), default=1.0)
    rounds = {it.key: _round(it.check) for it in will.services if it.check is not None}
    if not rounds or not (canary or set(wave.hosts) & will.hosts.keys()):
        return Patience(takeover)
    changed = [rounds[key] for key in changed_checks(old, new) if key in rounds]
    return Patience(takeover, max(rounds.values() if canary else changed, default=0.0), max(rounds.values()))


def changed_checks(old: Mapping[str, RoleState], new: Mapping[str, RoleState]) -> tuple[tuple[object, ...], ...]:
    """Name the services, by key, that are watched in another way than before: no host has to change anything for that."""
    was, will = old.get("director"), new.get("director")
    if not isinstance(was, DirectorState) or not isinstance(will, DirectorState):
        return ()
    before = {service.key: service.check for service in was.services}
    return tuple(it.key for it in will.services if it.key in before and before[it.key] != it.check)


def idle(new: Mapping[str, RoleState], spared: Collection[str]) -> frozenset[str]:
    """Name the destinations, by identity, whose failing costs nothing: they are drained, or on hosts that may be away."""
    will = new.get("director")
    if not isinstance(will, DirectorState):
        return frozenset()
    return frozenset(
        service.identity_of(it)
        for service in will.services
        for it in service.destinations
        if it.drained or it.host in spared
    )


def _round(check: Check) -> float:
    """Tell within how many seconds a real server that fails is known to fail, here too."""
    return check.interval * check.fall + check.timeout + VERDICT_SECONDS


# --- VIPs that move --------------------------------------------------------------------------------------------------


def unmoved(now: Sight, moves: Mapping[str, str]) -> tuple[str, ...]:
    """Say which VIPs are not where they shall be; `moves`: VRRP instance -> director."""
    return tuple(
        f"{instance}: it shall be held by {target} first, and is by {' and '.join(holders) or 'nobody'}"
        for instance, target in sorted(moves.items())
        if (holders := now.masters.get(instance, ())) != (target,)
    )


def moving(said: tuple[str, ...], trouble: Trouble, patience: Patience) -> Judgement:
    """Wait until VIPs are where they shall be, of which `unmoved` has had something to say: two elections at most."""
    return Judgement(problems=said) if trouble.beyond(2 * patience.takeover) else Judgement(waiting=said)


def elections(before: Sight, now: Sight) -> tuple[str, ...]:
    """Say which VIPs have two MASTERs, or none any more, and had not before."""
    return tuple(_elections(before, now))


def _elections(before: Sight, now: Sight) -> Iterator[str]:
    for instance, masters in sorted(now.masters.items()):
        held = before.masters.get(instance, ())
        if len(masters) > 1 and not set(masters) <= set(held):
            yield f"{instance}: {' and '.join(masters)} are MASTER at once"
        elif not masters and len(held) == 1:
            yield f"{instance}: nobody is MASTER ({held[0]} was)"


# --- health ----------------------------------------------------------------------------------------------------------


def _unproven(before: Sight, now: Sight, changed: Collection[str], idle: Collection[str]) -> Iterator[str]:
    for host in sorted(changed):
        known = {*before.health.get(host, Health()).unproven, *idle}
        waiting = [it for it in now.health.get(host, Health()).unproven if it not in known]
        if waiting:
            yield f"{host}: no verdict yet on {_some(waiting)}"


def _worse(before: Sight, now: Sight, changed: Collection[str], idle: Collection[str]) -> Iterator[str]:
    known = before.health.values()
    failing = {*(it for health in known for it in health.failing), *idle}
    suspected = {*(it for health in known for it in health.suspected), *idle}
    for host in sorted(changed):
        health = now.health.get(host, Health())
        if new := [f"{it} ({reason})" for it, reason in health.failing.items() if it not in failing]:
            yield f"{host}: fails its check: {_some(new)}"
        if new := [it for it in health.suspected if it not in suspected]:
            yield f"{host}: connections do not establish: {_some(new)}"


def _short(before: Sight, now: Sight, changed: Collection[str]) -> Iterator[str]:
    known = before.health.values()
    frozen, sorry = {it for h in known for it in h.frozen}, {it for h in known for it in h.sorry}
    for host in sorted(changed):
        health = now.health.get(host, Health())
        if new := [it for it in health.frozen if it not in frozen]:
            yield f"{host}: too many real servers fail: {_some(new)}"
        if new := [it for it in health.sorry if it not in sorry]:
            yield f"{host}: no real server answers: {_some(new)}"


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _FEW} more" if len(listed) > _FEW else ""
    return ", ".join(listed[:_FEW]) + more
