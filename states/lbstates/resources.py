"""A role's desired state and a few facts of one host -> the resources that this host shall have.

The same function serves the minion and the master that shows what would be on a host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from . import keepalived_conf, words
from .desired import DirectorState, RealServerState, RoleState
from .errors import CannotDerive
from .kinds.address import Address
from .kinds.destination import Destination
from .kinds.keepalived import Keepalived
from .kinds.kind import Resource
from .kinds.service import Service, service_identity
from .kinds.sysctl import Sysctl

# expire_nodest_conn: a destination that was removed must not leave its clients hanging until their connections time out.
# conn_reuse_mode 3: a director that sees only one direction (direct routing) keeps closed connections in FIN_WAIT for two
# minutes; with the default, 1, a client that uses a port again within that time is not scheduled but sent where it was
# before, so that shares drift and a new real server gets less (kernel: Documentation/networking/ipvs-sysctl.rst).
# (The setting for persistence templates comes with persistence; direct routing does not need net/ipv4/ip_forward.)
_DIRECTOR_SYSCTLS: Final = (
    Sysctl("net/ipv4/vs/expire_nodest_conn", "1"),
    Sysctl("net/ipv4/vs/conn_reuse_mode", "3"),
)

# The larger of `all` and the interface's own value counts, and `all` alone would do; both are written because tools
# that reset one interface (ifupdown, networkd) are common.
_ARP_SYSCTLS: Final = (("arp_ignore", "1"), ("arp_announce", "2"))


class HostFacts(msgspec.Struct, frozen=True):
    """What must be known of a host: its interface by bare address, keepalived's version (None: not installed), its FIFO."""

    interfaces: Mapping[str, str]
    keepalived_version: str | None
    fifo: str


def resources_for(state: RoleState, host: str, facts: HostFacts) -> tuple[Resource, ...]:
    """Derive what `host` shall have, in the order in which it may safely appear.

    Nothing for a host that the state does not name: all that is ours there is to be removed.
    Raises `CannotDerive` when the host lacks what the state builds on.
    """
    address = state.hosts.get(host)
    if address is None:
        return ()
    if isinstance(state, RealServerState):
        return _real_server(state, host, address, facts)
    return _director(state, host, address, facts)


def _real_server(state: RealServerState, host: str, address: str, facts: HostFacts) -> tuple[Resource, ...]:
    vips = [vip for vip, hosts in state.vips.items() if host in hosts]
    if not vips:
        return ()
    interfaces = dict.fromkeys(("all", _interface_of(host, address, facts)))
    sysctls = [Sysctl(f"net/ipv4/conf/{name}/{key}", value) for name in interfaces for key, value in _ARP_SYSCTLS]
    return (*sysctls, *(Address("lo", f"{vip}/32") for vip in vips))


def _director(state: DirectorState, host: str, address: str, facts: HostFacts) -> tuple[Resource, ...]:
    services = [Service(s.protocol, s.vip, s.port, s.scheduler) for s in state.services]
    destinations = [
        Destination(service_identity(s.protocol, s.vip, s.port), d.address, s.port, s.forwarding, d.weight)
        for s in state.services
        for d in s.destinations
    ]
    return (*_DIRECTOR_SYSCTLS, *services, *destinations, _keepalived(state, host, address, facts))


def _keepalived(state: DirectorState, host: str, address: str, facts: HostFacts) -> Keepalived:
    if facts.keepalived_version is None:
        raise CannotDerive(host, "keepalived is not installed", "install it (Debian: apt-get install keepalived)")
    if not re.fullmatch(words.FIFO, facts.fifo):
        raise CannotDerive(
            f"{host}: notify FIFO {facts.fifo!r}",
            "keepalived cannot be given this path",
            "set an absolute path of letters, digits and ._- in the minion's configuration",
        )
    interface = state.vrrp.interface or _interface_of(host, address, facts)
    if interface not in facts.interfaces.values():
        raise CannotDerive(
            f"{host}: interface {interface}",
            "this host has no such interface with an IPv4 address",
            f"correct `interface` under `vrrp` in the cluster file (here: {_listed(facts)})",
        )
    return Keepalived(config=keepalived_conf.render(state, host, interface, facts.fifo), running=True)


def _interface_of(host: str, address: str, facts: HostFacts) -> str:
    try:
        return facts.interfaces[address]
    except KeyError:
        raise CannotDerive(
            f"{host}: address {address}",
            "no interface of this host has it",
            f"configure it, or correct it in the cluster file (here: {_listed(facts)})",
        ) from None


def _listed(facts: HostFacts) -> str:
    return ", ".join(f"{name} {address}" for address, name in sorted(facts.interfaces.items())) or "no address at all"
