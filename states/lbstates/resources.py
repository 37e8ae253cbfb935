"""A role's desired state and a few facts of one host -> the resources that this host shall have.

The same function serves the minion and the master that shows what would be on a host. What a role needs is said in
`director_resources` and `real_server_resources`.
"""

from __future__ import annotations

from . import director_resources, real_server_resources
from .desired import RealServerState, RoleState
from .facts import HostFacts
from .kinds.kind import Resource
from .kinds.registry import KIND_OF

__all__ = ["HostFacts", "packet_rules_wanted", "resources_for"]


def packet_rules_wanted(state: RoleState, host: str) -> bool:
    """Whether `host` would have to mark or clamp packets: only then somebody has to find out whether it can."""
    if host not in state.hosts:
        return False
    if isinstance(state, RealServerState):
        return any(it.tunnel is not None and it.protocol == "tcp" and host in it.hosts for it in state.answers)
    return any(service.marked_ports for service in state.services)


def resources_for(state: RoleState, host: str, facts: HostFacts) -> tuple[Resource, ...]:
    """Derive what `host` shall have, in the order in which it may safely appear.

    Nothing for a host that the state does not name: all that is ours there is to be removed.
    Raises `CannotDerive` when the host lacks what the state builds on.
    """
    if host not in state.hosts:
        return ()
    if isinstance(state, RealServerState):
        found = real_server_resources.resources(state, host, facts)
    else:
        found = director_resources.resources(state, host, facts)
    return tuple(sorted(found, key=lambda resource: KIND_OF[type(resource)].put))
