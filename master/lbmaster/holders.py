"""Who holds which VIP: by the transitions that directors tell, and by their samples where no transition explains them.

Known at once in memory; on the disk with the others of a batch, since a VIP may move a thousand times in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lbwire.events import Data, VrrpTransition

from .clusters import Clusters
from .comparisons import Move
from .generations import Generations
from .topology import Topology
from .view import View

BELIEVE_SAMPLES_SECONDS: Final = 3.0


class Holders:
    """Tells each move once. Times are the caller's, on one clock."""

    def __init__(self, generations: Generations, clusters: Clusters, view: View) -> None:
        self._generations, self._clusters, self._view = generations, clusters, view
        self._known = generations.holders()
        self._unkept: dict[tuple[str, str], str] = {}
        self._doubts: dict[tuple[str, str], tuple[str, float]] = {}

    def moves(self, name: str, cluster: str, topology: Topology, data: Data | None) -> list[Move]:
        """Tell whether a VIP's MASTER moved; one that left and came back (keepalived restarts an election) did not."""
        if not isinstance(data, VrrpTransition) or data.state != "MASTER":
            return []
        if name not in topology.directors or data.instance not in topology.instances:
            return []
        before = self._known.get((cluster, data.instance), "")
        if before == name:
            return []
        self._set(cluster, data.instance, name)
        return [Move(data.instance, topology.instances[data.instance], before, name)]

    def _set(self, cluster: str, instance: str, host: str) -> None:
        self._known[cluster, instance] = self._unkept[cluster, instance] = host

    def sampled(self, name: str, now: float) -> None:
        """Doubt the holder where samples contradict it: one director says MASTER, and the holder itself does not."""
        for cluster in self._clusters.of_host(name):
            topology = self._clusters.current(cluster)
            for instance, masters in self._view.masters(topology).items():
                known = self._known.get((cluster, instance), "")
                if masters == (name,) and known != name and self._denies(known, instance):
                    self._doubts.setdefault((cluster, instance), (name, now))

    def _denies(self, host: str, instance: str) -> bool:
        holder = self._view.minions.get(host)
        role = holder.roles.get(instance) if holder is not None and holder.believed else None
        return role is not None and role.state != "MASTER"

    def believe(self, now: float) -> Iterator[tuple[str, Move]]:
        """Yield (cluster, move) where no transition has come to explain the samples: events can be late, in any order."""
        for (cluster, instance), (name, since) in list(self._doubts.items()):
            if now - since < BELIEVE_SAMPLES_SECONDS:
                continue
            del self._doubts[cluster, instance]
            topology = self._clusters.current(cluster)
            before = self._known.get((cluster, instance), "")
            if before != name and instance in topology.instances and self._view.masters(topology)[instance] == (name,):
                self._set(cluster, instance, name)
                yield cluster, Move(instance, topology.instances[instance], before, name)

    def keep(self) -> None:
        """Have the disk know what is known. Raises `sqlite3.Error`; then it is tried again the next time."""
        for (cluster, instance), host in list(self._unkept.items()):
            self._generations.set_holder(cluster, instance, host)
            del self._unkept[cluster, instance]
