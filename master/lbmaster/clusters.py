"""The clusters as their stored generations describe them: who belongs to what, and what holds now."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Final

from lbstates.desired import DirectorState
from lbstates.errors import StateError
from lbwire.errors import Refused
from lbwire.messages import Holding
from lbwire.topics import BEACON, cluster_topics, role_audience

from .generations import Generations
from .signing import Signer
from .topology import Topology, topology

logger = logging.getLogger(__name__)

NO_TOPOLOGY = Topology()
NEVER: Final = 2**63


class Clusters:
    """Reads signed states once each. `under_way` maps a cluster to the generation that is being pushed."""

    def __init__(self, generations: Generations, signer: Signer) -> None:
        self._generations, self._signer = generations, signer
        self._read: dict[str, dict[int, Topology]] = {}
        self._members: dict[str, dict[str, tuple[str, ...]]] = {}
        self._leaving: dict[str, dict[str, int]] = {}
        self._damaged: set[tuple[str, int]] = set()
        self.under_way: dict[str, int] = {}

    def at(self, cluster: str, generation: int) -> Topology:
        """Describe a generation; 0 is the empty one before the first.

        Raises `lbwire.errors.Refused` or `lbstates.errors.BadState` for states that were changed on the disk.
        """
        if generation <= 0:
            return NO_TOPOLOGY
        read = self._read.setdefault(cluster, {})
        if generation not in read:
            states = self._generations.states(cluster, generation)
            found = topology({role: self._signer.open_state(raw) for role, raw in states.items()})
            for old in sorted(read)[:-2]:
                del read[old]
            read[generation] = found
        return read[generation]

    def released(self, cluster: str) -> Topology:
        """Describe what every host of a cluster was told to be."""
        known = self._generations.clusters.get(cluster)
        return self._believed(cluster, known.released) if known else NO_TOPOLOGY

    def directors(self, cluster: str) -> DirectorState | None:
        """Return what the directors of a cluster were told to be; None before the first push, or if that is damaged."""
        known = self._generations.clusters.get(cluster)
        raw = self._generations.states(cluster, known.released).get("director") if known else None
        try:
            state = None if raw is None else self._signer.open_state(raw)
        except (Refused, StateError):
            return None
        return state if isinstance(state, DirectorState) else None

    def current(self, cluster: str) -> Topology:
        """Describe what a cluster is, or is becoming."""
        generation = self.under_way.get(cluster)
        return self._believed(cluster, generation) if generation else self.released(cluster)

    def _believed(self, cluster: str, generation: int) -> Topology:
        """As `at`; of damaged states at least who has, or had, which role: a push, which mends it, needs to know that."""
        try:
            return self.at(cluster, generation)
        except (Refused, StateError) as error:
            if (cluster, generation) not in self._damaged:
                self._damaged.add((cluster, generation))
                logger.error("generation %d of %s in the store is damaged: %s; push again", generation, cluster, error)  # noqa: TRY400
        roles = self.roles(cluster)
        return Topology(
            tuple(host for host, of in roles.items() if "director" in of),
            tuple(host for host, of in roles.items() if "realserver" in of),
        )

    def roles(self, cluster: str) -> dict[str, tuple[str, ...]]:
        """Tell every role that a host has in a cluster, or had and does not know yet that it has no more."""
        if cluster not in self._members:
            self._members[cluster] = self._generations.membership.roles(cluster)
        return self._members[cluster]

    def changed(self, cluster: str) -> None:
        """A generation was made."""
        self._members.pop(cluster, None)
        self._leaving.pop(cluster, None)

    def heard(self, host: str, holdings: Mapping[str, Holding]) -> None:
        """A host said what it holds: with the generation that takes a role from it applied, it has left that role."""
        for cluster, holding in holdings.items():
            if cluster not in self._generations.clusters:
                continue
            if cluster not in self._leaving:
                self._leaving[cluster] = self._generations.membership.leaving(cluster)
            if holding.applied >= self._leaving[cluster].get(host, NEVER):
                self._generations.membership.set_gone(cluster, host, holding.applied)
                self.changed(cluster)

    def topics(self, host: str) -> frozenset[bytes]:
        """List what a host may hear: beacons, and the broadcasts to its clusters and roles."""
        heard = {
            topic
            for cluster in self.of_host(host)
            for topic in cluster_topics(cluster, map(role_audience, self.roles(cluster)[host]))
        }
        return frozenset({BEACON, *heard})

    def of_host(self, host: str) -> Iterator[str]:
        """Name the clusters that a host has a part in, or had and does not know yet that it has no more."""
        return (cluster for cluster in self._generations.clusters if host in self.roles(cluster))
