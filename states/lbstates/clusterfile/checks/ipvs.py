"""What can be wrong with the options of IPVS, beyond one field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lbstates.clusterfile.model import Cluster
from lbstates.clusterfile.reading import address_of, destinations, version_of

from .remark import Declared, Remark


def _backup_only(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """The kernel looks at one thing only: whether it receives the connections of another director."""
    if not cluster.ipvs.backup_only:
        return
    path = ("ipvs", "backup_only")
    if cluster.ipvs.sync is None:
        yield Remark(path, "it needs connection synchronisation", "add `sync: {}` beside it")
    instances = {cluster.instance_of(name) for name in cluster.vips}
    groups = {cluster.instances[name].sync_group if name in cluster.instances else None for name in instances}
    if len(instances) > 1 and (len(groups) > 1 or None in groups):
        wrong = "a host balances all VIPs or none with it, but here they have different masters"
        yield Remark(path, wrong, "give all instances the same `sync_group`")


def _mixed_families(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """The messages of the synchronisation have no room for a connection of two families."""
    if cluster.ipvs.sync is None:
        return
    for place, service in enumerate(cluster.services):
        version = version_of(cluster, service)
        for name in destinations(cluster, service):
            server = cluster.real_servers.get(name)
            if server is not None and address_of(server, version) is None:
                wrong = f"{name} has no IPv{version} address, and connections of two families cannot be synchronised"
                yield Remark(("services", place), wrong, "give it one, or leave `ipvs.sync` out")
                break


def _sysctls(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    if "backup_only" in cluster.ipvs.sysctls:
        path = ("ipvs", "sysctls", "backup_only")
        yield Remark(path, "this one has a field of its own", "write `backup_only: true` under `ipvs`")


CHECKS: Final = (_backup_only, _mixed_families, _sysctls)
