"""The part of a director's desired state that keepalived gets: VRRP instances, and what they share."""

from __future__ import annotations

from typing import Literal

import msgspec

from . import words
from .kinds.service import Family, family_of
from .typed import (
    Adjustment,
    AdvertInterval,
    Announcements,
    AnnouncementsOrNone,
    AuthPass,
    Count,
    GarpDelay,
    Interface,
    Name,
    Part,
    Priority,
    Seconds,
    Vrid,
    check_addresses,
    check_networks,
    check_unique,
)

Mode = Literal["multicast", "unicast"]


class Vip(Part, frozen=True):
    """`address` has its prefix length; `interface` None: the one that the instance runs on."""

    address: str
    interface: Interface | None = None

    def __post_init__(self) -> None:
        if not words.is_vip(self.address):
            raise ValueError(f"{self.address!r} is not an IP address with prefix length")

    @property
    def bare(self) -> str:
        """The address without its prefix length."""
        return self.address.partition("/")[0]


class Route(Part, frozen=True):
    """A route that moves with the VIPs; `to` is a network or "default", `source` what packets that take it come from."""

    to: str
    via: str | None = None
    interface: Interface | None = None
    table: Count | None = None
    source: str | None = None
    metric: Count | None = None

    def __post_init__(self) -> None:
        check_networks((self.to,))
        check_addresses(address for address in (self.via, self.source) if address is not None)


class Rule(Part, frozen=True):
    """A routing rule that moves with the VIPs: packets `source` -> `to` look into `table`."""

    table: Count
    source: str | None = None
    to: str | None = None
    priority: Count | None = None

    def __post_init__(self) -> None:
        check_networks(network for network in (self.source, self.to) if network is not None)


class Garp(Part, frozen=True):
    """How a new master announces its VIPs (gratuitous ARP, unsolicited neighbour advertisement).

    `repeat` times at once and again after `delay` seconds; then `refresh_repeat` times every `refresh` seconds; and
    `lower_priority_repeat` times, `lower_priority_delay` seconds after somebody else claimed to be master.
    """

    repeat: Announcements = 5
    delay: GarpDelay = 5
    refresh: Seconds = 60
    refresh_repeat: Announcements = 1
    lower_priority_repeat: AnnouncementsOrNone = 2
    lower_priority_delay: GarpDelay = 1


class VrrpInstance(Part, frozen=True):
    """The election of the holder of some VIPs of one family; `priorities` by director.

    Times in seconds. `interface` None: the one that has the director's address. Instances of one `sync_group` have
    the same master. `adjustments` by director are added to its priority, without a reload, by a file that keepalived
    tracks (0 where there is none): so somebody else is preferred for a while. `advertise_first`: only the first VIP stands
    in the advertisements; keepalived up to 2.3.2 drops those with another list than its own, so that of directors that
    reload one after the other two would be masters. (False in states from before that was known.)
    """

    name: Name
    virtual_router_id: Vrid
    vips: tuple[Vip, ...]
    priorities: dict[Name, Priority]
    advert_interval: AdvertInterval = 1.0
    version: Literal[2, 3] = 3
    auth_pass: AuthPass | None = None
    interface: Interface | None = None
    preempt: bool = True
    preempt_delay: Count = 0
    track_interfaces: tuple[Interface, ...] = ()
    sync_group: Name | None = None
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    adjustments: dict[Name, Adjustment] = msgspec.field(default_factory=dict)
    advertise_first: bool = False

    def __post_init__(self) -> None:
        if not self.vips:
            raise ValueError(f"the VRRP instance {self.name} has no VIP")
        if len({family_of(vip.address) for vip in self.vips}) > 1:
            raise ValueError(f"the VRRP instance {self.name} has VIPs of both families")
        check_unique("priority", list(self.priorities.values()))
        check_unique("VIP", [vip.bare for vip in self.vips])
        if not self.priorities.keys() >= self.adjustments.keys():
            raise ValueError(f"the VRRP instance {self.name} adjusts the priority of a host that has none")

    @property
    def family(self) -> Family:
        """The family of its VIPs, and of its advertisements."""
        return family_of(self.vips[0].address)

    @property
    def advertised(self) -> tuple[Vip, ...]:
        """The VIPs that its advertisements list."""
        return self.vips[:1] if self.advertise_first else self.vips

    @property
    def takes_over_at_once(self) -> bool:
        """Whether a director becomes master as soon as its priority is the highest; else the master has to let go."""
        return self.preempt and not self.preempt_delay

    def priority_of(self, director: str) -> int:
        """What a director's priority is with its adjustment."""
        return self.priorities[director] + self.adjustments.get(director, 0)

    def __repr__(self) -> str:
        """Leave the password out: representations end up in logs."""
        return f"VrrpInstance({self.name!r}, {self.virtual_router_id}, {self.vips!r}, {self.priorities!r})"
