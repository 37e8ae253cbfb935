"""Cluster file -> the desired state of each role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from . import placement
from .desired import (
    DirectorState,
    RealServerState,
    Role,
    RoleState,
    ServiceDestination,
    VirtualService,
    VrrpInstance,
    VrrpOptions,
)

if TYPE_CHECKING:  # the model brings pydantic with it, which compiling does not need
    from .clusterfile.model import Cluster, ServiceEntry


def compile_cluster(cluster: Cluster) -> dict[Role, RoleState]:
    """Compile a cluster file that was found correct."""
    return {"realserver": _real_servers(cluster), "director": _directors(cluster)}


def _real_servers(cluster: Cluster) -> RealServerState:
    answering: dict[str, dict[str, None]] = {}
    for service in cluster.services:
        answering.setdefault(_bare(cluster.vips[service.vip]), {}).update(dict.fromkeys(_weights(cluster, service)))
    vips = {vip: tuple(hosts) for vip, hosts in answering.items()}
    return RealServerState(cluster.cluster, hosts=dict(cluster.real_servers), vips=vips)


def _directors(cluster: Cluster) -> DirectorState:
    vrrp = cluster.vrrp
    return DirectorState(
        cluster.cluster,
        hosts=dict(cluster.directors),
        instances=_instances(cluster),
        services=tuple(_virtual_service(cluster, service) for service in cluster.services),
        vrrp=VrrpOptions(
            advert_interval=float(vrrp.advert_interval),
            mode=vrrp.mode,
            version=vrrp.version,
            auth_pass=vrrp.auth_pass,
            interface=vrrp.interface,
        ),
    )


def _instances(cluster: Cluster) -> tuple[VrrpInstance, ...]:
    vrids = placement.virtual_router_ids([(name, _bare(vip), None) for name, vip in cluster.vips.items()], (), {})
    units = [placement.Unit(name, 1, None) for name in cluster.vips]
    rankings = placement.place(units, dict.fromkeys(cluster.directors, 1), {})
    return tuple(
        VrrpInstance(name, vrids[name], (vip,), _in_file_order(placement.priorities(rankings[name]), cluster.directors))
        for name, vip in cluster.vips.items()
    )


def _in_file_order(priorities: Mapping[str, int], directors: Iterable[str]) -> dict[str, int]:
    return {director: priorities[director] for director in directors}


def _virtual_service(cluster: Cluster, service: ServiceEntry) -> VirtualService:
    return VirtualService(
        protocol=service.protocol,
        vip=_bare(cluster.vips[service.vip]),
        port=service.port,
        scheduler=service.scheduler,
        forwarding=service.forwarding,
        destinations=tuple(
            ServiceDestination(cluster.real_servers[name], weight)
            for name, weight in _weights(cluster, service).items()
        ),
    )


def _weights(cluster: Cluster, service: ServiceEntry) -> dict[str, int]:
    return service.real_servers or dict.fromkeys(cluster.real_servers, 1)


def _bare(vip: str) -> str:
    return vip.partition("/")[0]
