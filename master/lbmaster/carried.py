"""Which interventions a new file keeps: those whose host, VIP or VRRP instance is still in it. Pure."""

from __future__ import annotations

from lbstates.clusterfile import Cluster
from lbstates.interventions import Interventions


def carried(interventions: Interventions, cluster: Cluster) -> tuple[Interventions, tuple[str, ...]]:
    """Return what stays in force for this file, and what is dropped, in words."""
    instances = {cluster.instance_of(vip) for vip in cluster.vips}
    hosts = {*cluster.directors, *cluster.real_servers}
    kept = Interventions(
        tuple(
            it
            for it in interventions.drains
            if it.host in cluster.real_servers and (it.vip is None or it.vip in cluster.vips)
        ),
        tuple(it for it in interventions.maintenance if it.host in hosts),
        tuple(it for it in interventions.switchovers if it.instance in instances and it.director in cluster.directors),
        tuple(it for it in interventions.evacuations if it.director in cluster.directors),
    )
    dropped = (
        *(f"drain of {it.host}" for it in interventions.drains if it not in kept.drains),
        *(f"maintenance of {it.host}" for it in interventions.maintenance if it not in kept.maintenance),
        *(
            f"switchover of {it.instance} to {it.director}"
            for it in interventions.switchovers
            if it not in kept.switchovers
        ),
        *(f"evacuation of {it.director}" for it in interventions.evacuations if it not in kept.evacuations),
    )
    return kept, dropped
