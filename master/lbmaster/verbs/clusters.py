"""Verbs about clusters as they are: status, statistics, comparing, examining."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from lbmaster.ailments import ailments
from lbmaster.control import Conversation, Verb
from lbmaster.decided import Scene, decided
from lbmaster.in_force import InForce
from lbmaster.report import cluster_stats, cluster_status
from lbstates.interventions import NONE
from lbwire.messages import Health

from .parts import Answer, Arguments, Parts, Seconds, Text, read


class _Cluster(Arguments, frozen=True):
    cluster: str | None = None


class _Doctor(Arguments, frozen=True):
    cluster: str | None = None
    timeout: Seconds = 12.0


class _Reconcile(Arguments, frozen=True):
    cluster: str
    timeout: Seconds = 10.0
    reason: Text = "operator"


class ClusterVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._in_force = InForce(parts.store.generations, parts.store.records)
        self.table: dict[str, Verb] = {
            "status": self._status,
            "stats": self._stats,
            "reconcile": self._reconcile,
            "doctor": self._doctor,
        }

    async def _status(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        names = self._parts.names(read(arguments, _Cluster).cluster)
        known = self._parts.store.generations.clusters
        now = self._parts.now()
        return {
            "time": time.time(),
            "clusters": {
                name: cluster_status(
                    name,
                    known[name],
                    self._parts.clusters.current(name),
                    self._parts.view,
                    self._parts.pushes.running.get(name),
                    now,
                )
                | {"interventions": await self._decided(name), "health": self._health(name)}
                for name in names
            },
            "unassigned": self._unassigned(),
        }

    async def _decided(self, name: str) -> list[dict[str, Any]]:
        """Tell what operators have decided, and what is left to do of it."""
        interventions, state = self._in_force.interventions(name), self._parts.clusters.directors(name)
        if interventions == NONE or state is None:
            return []
        view = self._parts.view
        masters = view.masters(self._parts.clusters.current(name))
        vips = await self._in_force.addresses(name)
        spared = frozenset(it.host for it in interventions.maintenance)
        return decided(interventions, Scene(state, vips, masters, view, time.time(), spared))

    def _health(self, name: str) -> dict[str, Any]:
        hosts = self._parts.clusters.current(name).hosts
        minions = {host: it for host, it in self._parts.view.minions.items() if host in hosts}
        well = all(it.sample is None or it.sample.health == Health() for it in minions.values())
        return ailments(None if well else self._parts.clusters.directors(name), minions)

    def _unassigned(self) -> list[str]:
        assigned = {
            host for name in self._parts.store.generations.clusters for host in self._parts.clusters.current(name).hosts
        }
        return sorted({enrolment.name for enrolment in self._parts.store.keyring.accepted.values()} - assigned)

    async def _stats(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        names = self._parts.names(read(arguments, _Cluster).cluster)
        now = self._parts.now()
        return {
            "clusters": {
                name: cluster_stats(self._parts.clusters.current(name), self._parts.view, now) for name in names
            }
        }

    async def _reconcile(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = read(arguments, _Reconcile)
        self._parts.names(asked.cluster)
        done = await self._parts.master.reconcile(asked.cluster, asked.reason, asked.timeout)
        hosts = self._parts.clusters.current(asked.cluster).hosts
        return {
            "cluster": asked.cluster,
            "hosts": {
                host: {"healed": done.answers[host].healed, "remaining": done.answers[host].remaining}
                if host in done.answers
                else {"silent": True}
                for host in hosts
            },
        }

    async def _doctor(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = read(arguments, _Doctor)
        names = self._parts.names(asked.cluster)
        found = await asyncio.gather(*(self._parts.master.examinations.examine(name, asked.timeout) for name in names))
        return {"clusters": dict(zip(names, found, strict=True))}
