"""In which order the hosts of a cluster are released: rule 8 of the design, between hosts. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from .topology import Topology

Waves = tuple[tuple[str, ...], ...]


def plan_waves(new: Topology, old: Topology, holders: AbstractSet[str]) -> Waves:
    """Sort every host of both generations into waves; `holders` are the directors that hold a VIP now.

    1. Real servers: a VIP has to be there before a director sends traffic to it (also on one that was a director).
    2. Directors that hold nothing: they can take over when the next ones reload. When nobody holds anything yet, one
       after the other: of keepaliveds that start at the same moment two can become MASTER for a moment.
    3. Directors that hold a VIP.
    4. Real servers that were taken out, or become directors: no director sends traffic to them any more.
    """
    entering = new.real_servers
    leaving = tuple(host for host in old.real_servers if host not in entering)
    directors = tuple(
        host for host in dict.fromkeys((*new.directors, *old.directors)) if host not in {*entering, *leaving}
    )
    standby = tuple(host for host in directors if host not in holders)
    active = tuple(host for host in directors if host in holders)
    standbys = (standby,) if active else tuple((host,) for host in standby)
    return tuple(wave for wave in (entering, *standbys, active, leaving) if wave)
