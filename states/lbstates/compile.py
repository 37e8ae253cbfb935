"""Cluster file -> the desired state of each role."""

from __future__ import annotations

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
    vrids = placement.virtual_router_ids([_bare(vip) for vip in cluster.vips.values()])
    directors = list(cluster.directors)
    return tuple(
        VrrpInstance(name, vrid, (vip,), placement.priorities(directors, turn))
        for turn, ((name, vip), vrid) in enumerate(zip(cluster.vips.items(), vrids, strict=True))
    )


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
