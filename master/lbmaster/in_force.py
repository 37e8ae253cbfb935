"""The cluster files that are in force, each read once, and what operators have decided beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lbstates.clusterfile import Cluster
from lbstates.clusterfile.reading import bare
from lbstates.interventions import Interventions

from .errors import RequestError
from .generations import Generations
from .preparing import read_text
from .records import Records


class InForce:
    """By cluster: what its released generation was made of."""

    def __init__(self, generations: Generations, records: Records) -> None:
        self._generations, self._records = generations, records
        self._read: dict[str, tuple[int, Cluster]] = {}

    def released(self, cluster: str) -> int:
        """Tell the released generation (0: none)."""
        known = self._generations.clusters.get(cluster)
        return known.released if known else 0

    def interventions(self, cluster: str) -> Interventions:
        """Tell what operators have decided."""
        made = self._records.made(cluster, self.released(cluster))
        return made.interventions if made else Interventions()

    async def file(self, cluster: str) -> Cluster:
        """Read the file. Raises `RequestError` when there is none, or when this release reads it no more."""
        generation = self.released(cluster)
        known = self._read.get(cluster)
        if known is not None and known[0] == generation:
            return known[1]
        text = self._records.text(cluster, generation)
        if not text:
            raise RequestError("unknown_cluster", f"nothing of {cluster} was pushed yet")
        read, _ = await asyncio.to_thread(read_text, text, f"the file of {cluster} in force")
        self._read[cluster] = (generation, read)
        return read

    async def addresses(self, cluster: str) -> Mapping[str, str]:
        """Tell the bare address of each VIP by its name; none where the file cannot be read."""
        try:
            file = await self.file(cluster)
        except RequestError:
            return {}
        return {name: bare(entry.address) for name, entry in file.vips.items()}
