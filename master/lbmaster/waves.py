"""In which order the hosts of a cluster are released: rule 8 of the design, between hosts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from lbwire.messages import Name

from .requests import canaries
from .topology import Topology


class Wave(msgspec.Struct, frozen=True):
    """Hosts that are released at once; `purpose` says which these are, for people."""

    purpose: str
    hosts: tuple[Name, ...]
    canary: bool = False


Waves = tuple[Wave, ...]


def plan_waves(
    new: Topology, old: Topology, holders: Mapping[str, str], canary: str = "", *, drained: bool = True
) -> Waves:
    """Sort every host of both generations into waves; `holders`: VRRP instance -> the director that holds its VIPs now.

    `drained`: what leaves takes no connections any more.
    1. Real servers: a VIP has to be there before a director sends traffic to it. The `canary` share of them goes first.
       One that is a director, too, or was one, goes with the directors: a host applies all that it is at once. It has the
       VIP before the directors that hold it send traffic there, unless it holds one itself.
    2. Directors that hold nothing: they can take over when the next ones reload. The first one goes alone, so that a
       mistake meets a director without traffic, and finds the others whole. When nobody holds anything yet, one after
       the other: of keepaliveds that start at the same moment two can become MASTER for a moment.
    3. Directors that hold VIPs, one after the other.
       Behind them come those without VIPs that are real servers no longer, if they still take connections.
       But where the VIPs that advertisements list change, 2 and 3 are one wave: keepalived up to 2.3.2 drops advertisements
       with another list than its own, so that between two reloads there would be two MASTERs.
    4. Real servers that were taken out, or become directors: no director sends traffic to them any more.
    """
    staying = {host for host in new.directors if host in old.directors}
    entering = tuple(host for host in new.real_servers if host not in {*new.directors, *old.directors})
    leaving = tuple(host for host in old.real_servers if host not in {*new.real_servers, *staying})
    directors = [h for h in dict.fromkeys((*new.directors, *old.directors)) if h not in {*entering, *leaving}]
    relisted = sorted(it for it, vips in new.advertised.items() if old.advertised.get(it, vips) != vips)
    active = [host for host in directors if host in holders.values()]
    late = {h for h in directors if h in old.real_servers and h not in new.real_servers} if not drained else set()
    standby = [host for host in directors if host not in holders.values() and host not in late]
    behind = tuple(host for host in directors if host in late and host not in holders.values())
    in_turn = (*_in_turn(standby, active, holders), Wave("standby directors that were real servers", behind))
    waves = (
        *_additions(entering, canary),
        *(_together(relisted, directors) if active and relisted else in_turn),
        Wave("removals on real servers", leaving),
    )
    return tuple(wave for wave in waves if wave.hosts)


def replanned(waves: Waves, released: int, plan: Waves) -> Waves:
    """Keep what was released, and order the others as they are in `plan`; whom it does not name comes last, as before."""
    rest = {host for wave in waves[released:] for host in wave.hosts}
    unplanned = rest - {host for wave in plan for host in wave.hosts}
    ordered = (*_only(plan, rest), *_only(waves[released:], unplanned))
    return (*waves[:released], *(wave for wave in ordered if wave.hosts))


def _only(waves: Waves, hosts: Collection[str]) -> Iterator[Wave]:
    for wave in waves:
        yield Wave(wave.purpose, tuple(host for host in wave.hosts if host in hosts), wave.canary)


def first_moves(directors: Iterable[str], holders: Mapping[str, str]) -> dict[str, str]:
    """Say where VIPs go before the directors that hold them are changed: VRRP instance -> a director changed earlier.

    That is the first one that holds nothing; where all hold something, the first of them, which keeps its own.
    """
    ordered = tuple(directors)
    standby = next((host for host in ordered if host not in holders.values()), None)
    target = standby or next((host for host in ordered if host in holders.values()), None)
    return {instance: target for instance, holder in holders.items() if target is not None and holder != target}


def _additions(hosts: tuple[str, ...], canary: str) -> Iterator[Wave]:
    first = canaries(canary, len(hosts))
    yield Wave("canary", hosts[:first], canary=True)
    yield Wave("additions on real servers", hosts[first:])


def _together(relisted: Iterable[str], directors: list[str]) -> Iterator[Wave]:
    yield Wave(f"directors together: {_listed(relisted)} will advertise another VIP", tuple(directors))


def _in_turn(standby: list[str], active: list[str], holders: Mapping[str, str]) -> Iterator[Wave]:
    yield from _standbys(standby, one_by_one=not active)
    yield from (Wave(_holding(host, holders), (host,)) for host in active)


def _standbys(hosts: list[str], *, one_by_one: bool) -> Iterator[Wave]:
    if one_by_one:
        yield from (Wave(f"director {host}", (host,)) for host in hosts)
        return
    yield Wave(f"standby director {hosts[0]}" if hosts else "", tuple(hosts[:1]))
    yield Wave("standby directors", tuple(hosts[1:]))


def _holding(host: str, holders: Mapping[str, str]) -> str:
    return f"{host} with {_listed(sorted(instance for instance, holder in holders.items() if holder == host))}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
