"""The answers to `status` and `stats`: what is known, put into the control protocol's words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lbwire.messages import Figures, Role, Statistics

from .generations import Cluster
from .push import Push
from .topology import Topology
from .view import Minion, View

UNKNOWN = "unknown"
NOBODY = Minion()


def cluster_status(
    name: str, known: Cluster, topology: Topology, view: View, push: Push | None, now: float
) -> dict[str, Any]:
    """Describe a cluster: who holds which VIP, and every host."""
    masters = view.masters(topology)
    return {
        "generation": known.generation,
        "released": known.released,
        "vips": {
            vip: {
                "instance": instance,
                "holder": masters[instance][0] if len(masters[instance]) == 1 else None,
                "masters": masters[instance],
            }
            for instance, vips in topology.instances.items()
            for vip in vips
        },
        "rollout": rollout_status(push) if push else None,
        "hosts": {host: _host(name, host, topology, view, push, now) for host in topology.hosts},
    }


def rollout_status(push: Push) -> dict[str, Any]:
    """Say how far a rollout is, and what it waits for."""
    return {
        "generation": push.generation,
        "kind": "rollback" if push.course.undoes else push.course.kind,
        "phase": push.rollout.phase,
        "wave": push.rollout.released,
        "waves": [{"purpose": wave.purpose, "hosts": wave.hosts} for wave in push.rollout.waves],
        "waiting": push.waiting,
        "left": push.left,
        "hosts": {host: progress.state for host, progress in sorted(push.hosts.items())},
    }


def _host(cluster: str, host: str, topology: Topology, view: View, push: Push | None, now: float) -> dict[str, Any]:
    minion = view.minions.get(host, NOBODY)
    holding = view.holding(host, cluster)
    director = host in topology.directors
    progress = push.hosts.get(host) if push else None
    silent = view.silent(host, now)
    return {
        "role": "director" if director else "realserver",
        "online": minion.believed,
        "last_seen": None if silent is None else round(silent, 3),
        "staged": holding.staged,
        "applied": holding.applied,
        "drift": minion.drift,
        "roles": _roles(topology.instances, minion) if director else {},
        "keepalived": _keepalived(minion) if director else "",
        "product": minion.product,
        "note": (progress.problem if progress else "") or _doubled(minion),
    }


def _doubled(minion: Minion) -> str:
    """Say that another host uses its key."""
    if not minion.doubled:
        return ""
    return f"two hosts use its key: {' and '.join(minion.doubled)}; only the first is heard"


def _keepalived(minion: Minion) -> str:
    """Say what is the matter with it, else its version."""
    return (minion.sample.keepalived if minion.sample else "") or minion.keepalived


def _roles(instances: Iterable[str], minion: Minion) -> dict[str, dict[str, Any]]:
    nothing = Role(UNKNOWN, 0)
    found = {instance: minion.roles.get(instance, nothing) for instance in instances}
    return {
        instance: {"state": role.state if minion.believed else UNKNOWN, "priority": role.priority}
        for instance, role in found.items()
    }


def cluster_stats(topology: Topology, view: View, now: float) -> dict[str, Any]:
    """Give each director's newest figures, and their age in seconds."""
    return {host: _figures(view.minions.get(host, NOBODY), now) for host in topology.directors}


def _figures(minion: Minion, now: float) -> dict[str, Any]:
    if not minion.counted.told:
        return {"age": None, "services": (), "destinations": ()}
    return {
        "age": round(now - minion.counted_at, 3),
        "services": _named(minion.counted.services),
        "destinations": _named(minion.counted.destinations),
    }


def _named(figures: Mapping[str, Figures]) -> tuple[Statistics, ...]:
    """Give the values their names again."""
    return tuple(Statistics(*msgspec.structs.astuple(entry)) for entry in figures.values())
