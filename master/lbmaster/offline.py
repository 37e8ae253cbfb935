"""What a cluster file makes of one host, worked out without that host: what only it knows is assumed, and said.

Pure. The minion does the same with what its host really is, and by the same functions of `lbstates`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lbstates.compile import compile_cluster
from lbstates.desired import ROLES, DirectorState, Host, RealServerState, Role, RoleState
from lbstates.errors import CannotDerive
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.kind import Resource
from lbstates.resources import HostFacts, resources_for

if TYPE_CHECKING:  # the model brings pydantic with it
    from lbstates.clusterfile.model import Cluster

KEEPALIVED: Final = "2.2.7"
"""Debian 12's: the oldest that is known to work."""
FIFO: Final = "/run/lbminion/vrrp.fifo"
LOCK: Final = "/run/lbminion/alive.lock"
ADJUSTMENTS: Final = "/var/lib/lbminion/adjustments"
MTU: Final = 1500


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is taken for what only a host itself knows: the interface where the file names none, keepalived's version."""

    interface: str = "eth0"
    keepalived: str = KEEPALIVED


class Unshown(Exception):
    """The file has no such host, or what only the host knows cannot be assumed for it."""


@dataclass(frozen=True, slots=True)
class HostView:
    """What a cluster file makes of one host. `assumed`: what only the host itself knows, and what was taken for it.

    `masqueraded`: it is the real server of a service that needs nothing on it but a default route through a director.
    """

    host: str
    cluster: str
    roles: tuple[str, ...]
    resources: tuple[Resource, ...]
    assumed: dict[str, str]
    masqueraded: bool = False


def director_state(cluster: Cluster, before: Cluster | None = None) -> DirectorState:
    """Compile the directors' state; `before`: the file in force, whose placement and numbers stay where they can."""
    return _director_state(compile_cluster(cluster, None if before is None else director_state(before)))


def host_view(cluster: Cluster, host: str, taken: Assumptions, before: Cluster | None = None) -> HostView:
    """Work out what `host` would have. Raises `Unshown`."""
    states = compile_cluster(cluster, None if before is None else director_state(before))
    roles = [role for role in ROLES if host in states[role].hosts]
    if not roles:
        names = ", ".join(name for role in reversed(ROLES) for name in states[role].hosts)
        raise Unshown(f"there is no host {host}; name one of: {names}")
    director = _director_state(states) if "director" in roles else None
    facts, assumed = _facts([states[role].hosts[host] for role in roles], director, host, taken)
    resources: dict[Resource, None] = {}
    try:
        for role in roles:
            resources |= dict.fromkeys(resources_for(states[role], host, facts))
    except CannotDerive as error:
        raise Unshown(str(error)) from error
    if any(isinstance(resource, Clamp) for resource in resources):
        assumed["MTU"] = str(MTU)
    return HostView(host, cluster.cluster, tuple(roles), tuple(resources), assumed, _masqueraded(states, host))


def _masqueraded(states: Mapping[Role, RoleState], host: str) -> bool:
    state = states["realserver"]
    answers = state.answers if isinstance(state, RealServerState) else ()
    return any(it.forwarding == "masquerade" and host in it.hosts for it in answers)


def _director_state(states: Mapping[Role, RoleState]) -> DirectorState:
    state = states["director"]
    if not isinstance(state, DirectorState):
        raise TypeError("the role director has the state of another role")
    return state


def _facts(
    entries: Sequence[Host], director: DirectorState | None, host: str, taken: Assumptions
) -> tuple[HostFacts, dict[str, str]]:
    """Make up the facts of a host, `entries` being all that the file says of it; name what was assumed."""
    assumed: dict[str, str] = {}
    instances = director.instances if director else ()
    # An interface that the file names for elections is most likely the one with the director's address, too; but not
    # where only some have another.
    elections = {instance.interface for instance in instances}
    interfaces = [*(entry.interface for entry in entries), *(elections if len(elections) == 1 else ())]
    named = next(filter(None, interfaces), None)
    own = named or taken.interface
    if named is None:
        assumed["interface"] = own
    masters = frozenset(it.name for it in instances if it.priorities[host] == max(it.priorities.values()))
    if director:
        assumed["keepalived"] = taken.keepalived
        if director.ipvs.backup_only:  # then what it shall have depends on it
            assumed["VRRP"] = f"MASTER of {' and '.join(sorted(masters))}" if masters else "BACKUP"
    return HostFacts(
        {address: own for entry in entries for address in entry.addresses},
        taken.keepalived,
        FIFO,
        lock=LOCK,
        masters=masters,
        mtus=dict.fromkeys((own, *(_interfaces(director) if director else ())), MTU),
        adjustments=ADJUSTMENTS,
    ), assumed


def _interfaces(state: DirectorState) -> Iterator[str]:
    """Yield the interfaces that the file names: they are taken to be there."""
    for instance in state.instances:
        of_vips = (vip.interface for vip in instance.vips)
        of_routes = (route.interface for route in instance.routes)
        yield from filter(None, (instance.interface, *instance.track_interfaces, *of_vips, *of_routes))
    if state.ipvs.sync is not None and state.ipvs.sync.interface is not None:
        yield state.ipvs.sync.interface
