"""What a director shall have, so that it balances and stands for election."""

from __future__ import annotations

from typing import Final

from . import keepalived_conf
from .balancing import ServiceDestination, VirtualService
from .desired import DirectorState
from .facts import HostFacts
from .kinds.destination import Destination
from .kinds.keepalived import Keepalived
from .kinds.kind import Resource
from .kinds.service import Service
from .kinds.sysctl import Sysctl

# expire_nodest_conn: a destination that was removed must not leave its clients hanging until their connections time out.
# conn_reuse_mode 3: a director that sees only one direction (direct routing) keeps closed connections in FIN_WAIT for two
# minutes; with the default, 1, a client that uses a port again within that time is not scheduled but sent where it was
# before, so that shares drift and a new real server gets less (kernel: Documentation/networking/ipvs-sysctl.rst).
# (The setting for persistence templates comes with persistence; direct routing does not need net/ipv4/ip_forward.)
_SYSCTLS: Final = (
    Sysctl("net/ipv4/vs/expire_nodest_conn", "1"),
    Sysctl("net/ipv4/vs/conn_reuse_mode", "3"),
)


def resources(state: DirectorState, host: str, facts: HostFacts) -> tuple[Resource, ...]:
    """Derive them for `host`, one of the state's. Raises `CannotDerive`."""
    services = [_service(service) for service in state.services]
    destinations = [
        _destination(described, destination)
        for described, service in zip(services, state.services, strict=True)
        for destination in service.destinations
    ]
    keepalived = Keepalived(config=keepalived_conf.render(state, host, facts), running=True)
    return (*_SYSCTLS, *services, *destinations, keepalived)


def _service(service: VirtualService) -> Service:
    if service.mark:
        protocol, address, port = None, "", 0
    else:
        protocol, address, port = service.protocol, service.vip, service.port
    return Service(
        protocol, address, port, service.scheduler, service.flags, service.persistence, service.one_packet,
        service.mark, service.family if service.mark else "ipv4",
    )  # fmt: skip


def _destination(service: Service, destination: ServiceDestination) -> Destination:
    return Destination(
        service.identity, destination.address, destination.port, destination.forwarding, destination.weight,
        destination.upper, destination.lower, destination.tunnel,
    )  # fmt: skip
