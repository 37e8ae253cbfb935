"""One host as it shall be and as it is, and what the probes have to know of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from lbstates.desired import Answer, DirectorState, RealServerState, RoleState
from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.service import Service
from lbstates.plan import Plan, Resources

from .adverts import Election
from .configuration import Instance, instances
from .listeners import Wanted, asked
from .places import interface_to

T = TypeVar("T", bound=Resource)


@dataclass(frozen=True)
class Case:
    """`states` are the released ones of this host's clusters, `plan` is what would heal it, `present` all its addresses.

    `foreign` names the IPVS entries of somebody else; `held`: an operator stopped keepalived here.
    """

    name: str
    states: Sequence[RoleState]
    desired: Resources
    observed: Resources
    plan: Plan
    present: Sequence[Address]
    foreign: Sequence[str]
    held: bool

    def wanted(self, kind: type[T]) -> list[T]:
        """Name the resources of one kind that this host shall have."""
        return [it for of_kind in self.desired.values() for it in of_kind.values() if isinstance(it, kind)]

    def there(self, kind: type[T]) -> list[T]:
        """Name those that it has, of those that it shall have."""
        return [
            it
            for name, of_kind in self.observed.items()
            for identity, it in of_kind.items()
            if isinstance(it, kind) and identity in self.desired.get(name, {})
        ]

    @cached_property
    def director(self) -> list[DirectorState]:
        """The clusters that it is a director of."""
        return [it for it in self.states if isinstance(it, DirectorState) and self.name in it.hosts]

    @cached_property
    def real_server(self) -> list[RealServerState]:
        """The clusters that it is a real server of."""
        return [it for it in self.states if isinstance(it, RealServerState) and self.name in it.hosts]

    @cached_property
    def own(self) -> frozenset[str]:
        """The bare addresses of this host, without those that it has because it is a real server (lo, tunnels)."""
        given = {it.identity for it in self.vips_on_lo()}
        there = (it for it in self.present if it.interface != "lo" and it.identity not in given)
        return frozenset(_bare(it.address) for it in there)

    @cached_property
    def interface(self) -> str:
        """The interface with the address that a cluster knows this host by; "" if it has none of them."""
        known = {
            address for state in self.states if self.name in state.hosts for address in state.hosts[self.name].addresses
        }
        return next((it.interface for it in self.present if _bare(it.address) in known), "")

    @cached_property
    def instances(self) -> dict[str, Instance]:
        """The VRRP instances that it shall have, as they are declared."""
        return {name: it for file in self.wanted(Keepalived) for name, it in instances(file.config).items()}

    @cached_property
    def loaded(self) -> dict[str, Instance]:
        """The VRRP instances of the keepalived.conf that is there."""
        return {name: it for file in self.there(Keepalived) for name, it in instances(file.config).items()}

    @cached_property
    def holding(self) -> AbstractSet[str]:
        """The instances whose VIPs this host has now, which is how clients see who is MASTER."""
        return {name for name, it in self.instances.items() if it.vips and it.vips[0] in self.own}

    @cached_property
    def held_vips(self) -> frozenset[str]:
        """The VIPs (bare) of those instances."""
        return frozenset(vip for name in self.holding for vip in self.instances[name].vips)

    @cached_property
    def served_here(self) -> list[str]:
        """The VIPs (bare) that this host balances, and answers as a real server too."""
        balanced = {vip for it in self.instances.values() for vip in it.vips}
        return sorted(bare for bare in map(_bare, (it.address for it in self.vips_on_lo())) if bare in balanced)

    @cached_property
    def peers(self) -> dict[str, str]:
        """The other directors: address -> name."""
        return {
            address: name
            for state in self.director
            for name, host in state.hosts.items()
            if name != self.name
            for address in host.addresses
        }

    @cached_property
    def real_servers(self) -> dict[str, str]:
        """The real servers that this director sends to, by address; only the address is known of them here."""
        return {it.address: it.address for it in self.wanted(Destination) if it.address not in self.own}

    def elections(self) -> list[Election]:
        """What should be heard of each instance."""
        return [
            Election(
                it.name, it.interface, it.family, it.vrid, it.version, it.interval, frozenset(it.vips), self.peers,
                it.name in self.holding, it.interface == self.interface, frozenset(it.advertised),
            )
            for it in self.instances.values()
        ]  # fmt: skip

    def vips_on_lo(self) -> list[Address]:
        """The VIPs that this real server shall have."""
        return self.wanted(Address)

    def arp_targets(self) -> dict[str, set[str]]:
        """Whom to ask ARP for: interface -> IPv4 addresses, the VIPs and the hosts that may answer for them."""
        found: dict[str, set[str]] = {}
        for instance in self.instances.values():
            for vip in instance.vips:
                if ":" not in vip:
                    found.setdefault(instance.devices.get(vip, instance.interface), set()).add(vip)
        vips = [_bare(it.address) for it in self.vips_on_lo()]
        for bare in (*vips, *self.peers, *self.real_servers):
            interface = None if ":" in bare else interface_to(bare, self.present)
            if interface is not None:
                found.setdefault(interface, set()).add(bare)
        return {interface: some for interface, some in found.items() if some}

    def vips(self) -> dict[str, bool]:
        """All IPv4 VIPs that this host knows of: bare -> whether it holds it as MASTER."""
        found = {_bare(it.address): False for it in self.vips_on_lo()}
        for name, instance in self.instances.items():
            found |= dict.fromkeys(instance.vips, name in self.holding)
        return {vip: held for vip, held in found.items() if ":" not in vip}

    @cached_property
    def declared(self) -> tuple[str, ...]:
        """The addresses that its clusters know this real server by."""
        return tuple(address for state in self.real_server for address in state.hosts[self.name].addresses)

    def answers(self) -> list[Answer]:
        """What this real server answers."""
        return [it for state in self.real_server for it in state.answers if self.name in it.hosts]

    def asked(self) -> list[Wanted]:
        """Where a service of this real server has to listen: on the VIP, or with masquerading on its own address."""
        return asked(self.real_server, self.name)

    def services(self) -> list[Service]:
        """The virtual services that this director shall have."""
        return self.wanted(Service)


def _bare(address: str) -> str:
    return address.partition("/")[0]
