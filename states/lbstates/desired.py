"""The desired state of each role of a cluster, as it travels: all that any host of the role needs to know.

A state is per role, not per host, so that it can be broadcast and stays small; a host's own part is derived from it by
`resources`. Decoding is strict: an unknown role, field or value is refused, never ignored, because a minion that
ignores what it does not know would report as done what it has not done. Every value is checked again here although the
master checked the cluster file: a signature says who sent a state, not that it is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from . import words
from .errors import BadState
from .kinds.service import Protocol

Name = Annotated[str, Meta(pattern=rf"\A{words.NAME}\Z")]
Interface = Annotated[str, Meta(pattern=rf"\A{words.INTERFACE}\Z")]
AuthPass = Annotated[str, Meta(pattern=rf"\A{words.AUTH_PASS}\Z")]
Scheduler = Annotated[str, Meta(pattern=rf"\A({'|'.join(words.SCHEDULERS)})\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Weight = Annotated[int, Meta(ge=0, le=words.MAX_WEIGHT)]
Vrid = Annotated[int, Meta(ge=1, le=words.MAX_VRID)]
Priority = Annotated[int, Meta(ge=1, le=254)]
AdvertInterval = Annotated[float, Meta(ge=0.01, le=40.95)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class VrrpInstance(_Part, frozen=True):
    """The election of one VIP: `vips` with prefix length, `priorities` by director."""

    name: Name
    virtual_router_id: Vrid
    vips: tuple[str, ...]
    priorities: dict[Name, Priority]

    def __post_init__(self) -> None:
        if not self.vips:
            raise ValueError(f"the VRRP instance {self.name} has no VIP")
        for vip in self.vips:
            if not words.is_vip(vip):
                raise ValueError(f"{vip!r} is not an IPv4 address with prefix length")
        _check_unique("priority", list(self.priorities.values()))


class VrrpOptions(_Part, frozen=True):
    """What all VRRP instances of a cluster share; `advert_interval` in seconds, `interface` None: where the address is."""

    advert_interval: AdvertInterval
    mode: Literal["multicast", "unicast"]
    version: Literal[2, 3]
    auth_pass: AuthPass | None = None
    interface: Interface | None = None

    def __repr__(self) -> str:
        """Leave the password out: representations end up in logs."""
        return f"VrrpOptions(advert_interval={self.advert_interval}, mode={self.mode!r}, version={self.version})"


class ServiceDestination(_Part, frozen=True):
    """One real server in a virtual service; it answers on the service's own port (direct routing rewrites none)."""

    address: str
    weight: Weight

    def __post_init__(self) -> None:
        _check_addresses((self.address,))


class VirtualService(_Part, frozen=True):
    """`vip` is a bare address."""

    protocol: Protocol
    vip: str
    port: Port
    scheduler: Scheduler
    forwarding: Literal["direct"]
    destinations: tuple[ServiceDestination, ...]

    def __post_init__(self) -> None:
        _check_addresses((self.vip,))
        _check_unique("destination", [destination.address for destination in self.destinations])


class RealServerState(_Part, frozen=True, tag_field="role", tag="realserver"):
    """`hosts`: real server -> address. `vips`: bare address -> the real servers that answer for it (direct routing)."""

    cluster: Name
    hosts: dict[Name, str]
    vips: dict[str, tuple[Name, ...]]
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        _check_addresses(self.hosts.values())
        _check_addresses(self.vips)
        for vip, hosts in self.vips.items():
            if not self.hosts.keys() >= set(hosts):
                raise ValueError(f"the VIP {vip} is on a real server that is not among the hosts")


class DirectorState(_Part, frozen=True, tag_field="role", tag="director"):
    """`hosts`: director -> address. Services are the same on every director; instances differ by priority."""

    cluster: Name
    hosts: dict[Name, str]
    instances: tuple[VrrpInstance, ...]
    services: tuple[VirtualService, ...]
    vrrp: VrrpOptions
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        _check_addresses(self.hosts.values())
        _check_unique("VRRP instance", [instance.name for instance in self.instances])
        _check_unique("VRID", [instance.virtual_router_id for instance in self.instances])
        _check_unique("virtual service", [(s.protocol, s.vip, s.port) for s in self.services])
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
    """Turn what `encode_state` made back into a state.

    Raises `BadState`, which names the place, for anything that is not exactly that.
    """
    try:
        state: RoleState = msgspec.convert(builtins, type=RealServerState | DirectorState)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadState(f"desired state not understood: {error}") from error
    return state


def _check_addresses(addresses: Iterable[str]) -> None:
    for address in addresses:
        if not words.is_host_address(address):
            raise ValueError(f"{address!r} is not an IPv4 address of a host")


def _check_unique(what: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        raise ValueError(f"the same {what} twice")
