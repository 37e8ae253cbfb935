"""Who plays in a story: read from a topology and a cluster file, so that neither is written down twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from microvm import paths
from microvm.lab import read_topology


@dataclass(frozen=True)
class Cast:
    """The cluster of a story: its files, its hosts by role, and its VIPs (name -> bare address, in file order)."""

    topology: Path
    cluster_file: Path
    cluster: str
    master: str
    master_address: str
    client: str
    real_servers: tuple[str, ...]
    directors: tuple[str, ...]
    vips: Mapping[str, str]

    @property
    def members(self) -> tuple[str, ...]:
        """All hosts of the cluster: those that run a minion."""
        return (*self.real_servers, *self.directors)

    @property
    def vip(self) -> str:
        """The address of the first VIP."""
        return next(iter(self.vips.values()))


def cast_of(topology: Path, cluster_file: Path) -> Cast:
    """Read both files; the cluster file in its short forms only. Raises ``LabError`` for a bad topology."""
    found = read_topology(topology)
    cluster: dict[str, Any] = yaml.safe_load(cluster_file.read_text())
    by_role = {role: host for host in found.hosts for role in host.roles}
    return Cast(
        topology=topology,
        cluster_file=cluster_file,
        cluster=cluster["cluster"],
        master=by_role["master"].name,
        master_address=by_role["master"].address,
        client=by_role["client"].name,
        real_servers=tuple(cluster["real_servers"]),
        directors=tuple(cluster["directors"]),
        vips={name: vip.partition("/")[0] for name, vip in cluster["vips"].items()},
    )


FIVE = cast_of(paths.TOPOLOGY, paths.VAGRANT / "cluster.yaml")
"""Two directors, two real servers, one VIP: the five VMs."""

THREE = cast_of(paths.VAGRANT / "three.yaml", paths.VAGRANT / "cluster-three.yaml")
"""Three directors with a VIP each, two real servers."""
