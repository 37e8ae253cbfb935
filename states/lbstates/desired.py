"""The desired state of each role of a cluster, as it travels: all that any host of the role needs to know.

A state is per role, not per host, so that it can be broadcast and stays small; a host's own part is derived from it by
`resources`. Decoding is strict: an unknown role, field or value is refused, never ignored, because a minion that
ignores what it does not know would report as done what it has not done. Every value is checked again here although the
master checked the cluster file: a signature says who sent a state, not that it is harmless.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from .balancing import IpvsOptions, VirtualService
from .earlier import from_format_1
from .errors import BadState
from .kinds.destination import Forwarding, Tunnel
from .kinds.service import Family, Protocol, family_of
from .typed import Interface, Name, Part, PortOrAll, PortRange, check_addresses, check_unique
from .vrrp import Garp, Mode, VrrpInstance
from .words import port_range

DriftPolicy = Literal["heal", "report"]


class Host(Part, frozen=True):
    """Where a host is: `address` of either family, `address6` beside an IPv4 one; `interface` for VRRP and VIPs."""

    address: str
    address6: str | None = None
    interface: Interface | None = None

    def __post_init__(self) -> None:
        check_addresses(self.addresses)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of its addresses."""
        return (self.address,) if self.address6 is None else (self.address, self.address6)

    def address_of(self, family: Family) -> str | None:
        """Return its address of a family, if it has one."""
        return next((address for address in self.addresses if family_of(address) == family), None)


class Answer(Part, frozen=True):
    """What some real servers answer: `ports` of `vip` as clients see them (empty: all).

    `hosts` by real server: the port on which its service listens, 0 for the very port that the client named.
    """

    vip: str
    protocol: Protocol
    ports: tuple[PortRange, ...]
    forwarding: Forwarding
    hosts: dict[Name, PortOrAll]
    tunnel: Tunnel | None = None

    def __post_init__(self) -> None:
        check_addresses((self.vip,))
        for ports in self.ports:
            port_range(ports)


class RealServerState(Part, frozen=True, tag_field="role", tag="realserver"):
    """`directors` are the addresses of the cluster's directors: a masqueraded real server answers through one."""

    cluster: Name
    hosts: dict[Name, Host]
    answers: tuple[Answer, ...]
    directors: tuple[str, ...] = ()
    backup_only: bool = False
    drift: DriftPolicy = "heal"
    format: Literal[2] = 2

    def __post_init__(self) -> None:
        check_addresses(self.directors)
        for answer in self.answers:
            if not self.hosts.keys() >= answer.hosts.keys():
                raise ValueError(f"the VIP {answer.vip} is on a real server that is not among the hosts")


class DirectorState(Part, frozen=True, tag_field="role", tag="director"):
    """Services are the same on every director; instances differ by priority.

    `drift` says whether what differs is healed or only reported; `exclusive`: IPVS entries of others are removed.
    """

    cluster: Name
    hosts: dict[Name, Host]
    instances: tuple[VrrpInstance, ...]
    services: tuple[VirtualService, ...]
    mode: Mode = "multicast"
    garp: Garp = Garp()
    ipvs: IpvsOptions = IpvsOptions()
    drift: DriftPolicy = "heal"
    exclusive: bool = False
    format: Literal[2] = 2

    def __post_init__(self) -> None:
        check_unique("VRRP instance", [instance.name for instance in self.instances])
        # Two elections may have one number where their advertisements never meet.
        check_unique("VRID", [(it.interface, it.family, it.virtual_router_id) for it in self.instances])
        check_unique("virtual service", [service.key for service in self.services])
        check_unique("VIP", [vip.bare for instance in self.instances for vip in instance.vips])
        for instance in self.instances:
            if instance.priorities.keys() != self.hosts.keys():
                raise ValueError(f"the VRRP instance {instance.name} does not give every director a priority")


RoleState: TypeAlias = RealServerState | DirectorState
Role: TypeAlias = Literal["realserver", "director"]
ROLES: Final[tuple[Role, ...]] = ("realserver", "director")


def role_of(state: RoleState) -> Role:
    """Name the role that a state is for."""
    return "director" if isinstance(state, DirectorState) else "realserver"


def encode_state(state: RoleState) -> dict[str, Any]:
    """Turn a state into dicts, lists, strings and numbers, with its role under `role`."""
    encoded: dict[str, Any] = msgspec.to_builtins(state)
    return encoded


def decode_state(builtins: object) -> RoleState:
    """Turn what `encode_state` made back into a state, also what that of an earlier release made.

    Raises `BadState`, which names the place, for anything that is not exactly that.
    """
    earlier = isinstance(builtins, dict) and builtins.get("format") == 1
    try:
        now = from_format_1(builtins) if earlier else builtins
        state: RoleState = msgspec.convert(now, type=RealServerState | DirectorState)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadState(f"desired state{' of format 1' if earlier else ''} not understood: {error}") from error
    return state
