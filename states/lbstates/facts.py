"""What has to be known of a host before it can be said what it shall have, and how an interface is found in that.

Facts are read by the minion on its own host, or made up by the master that shows what would be on one.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from .desired import Host
from .errors import CannotDerive


class HostFacts(msgspec.Struct, frozen=True):
    """Facts of one host.

    `interfaces`: name by bare address, of both families; `keepalived_version` None: not installed; `fifo` and `lock`:
    paths of the FIFO on which keepalived tells its transitions, and of the lock that the minion holds while it lives;
    `masters`: the VRRP instances of which this host is the master; `mtus`: bytes by interface, of all there are;
    `no_packet_rules`: why nftables cannot mark or clamp packets here ("": it can); `weights`: by the identity of a
    destination, where its checks want another weight than the declared one; `adjustments`: path of the directory with the
    files by which priorities are adjusted ("": there is none).
    """

    interfaces: Mapping[str, str]
    keepalived_version: str | None
    fifo: str
    lock: str = ""
    masters: frozenset[str] = frozenset()
    mtus: Mapping[str, int] = {}
    no_packet_rules: str = ""
    weights: Mapping[str, int] = {}
    adjustments: str = ""

    @property
    def names(self) -> AbstractSet[str]:
        """All interfaces of the host."""
        return {*self.interfaces.values(), *self.mtus}


def interface_of(name: str, host: Host, facts: HostFacts) -> str:
    """Return the interface with the address of the host `name`. Raises `CannotDerive`."""
    for address in host.addresses:
        if address in facts.interfaces:
            return facts.interfaces[address]
    raise CannotDerive(
        f"{name}: address {host.address}",
        "no interface of this host has it",
        f"configure it, or correct it in the cluster file (here: {_listed(facts)})",
    )


def existing(name: str, interface: str, wanted_by: str, facts: HostFacts) -> str:
    """Return `interface` if the host `name` has it; `wanted_by` is the place in the cluster file. Raises `CannotDerive`."""
    if interface in facts.names:
        return interface
    raise CannotDerive(
        f"{name}: interface {interface}",
        "this host has no such interface",
        f"make it, or correct {wanted_by} in the cluster file (here: {_listed(facts)})",
    )


def _listed(facts: HostFacts) -> str:
    found = [f"{interface} {address}" for address, interface in sorted(facts.interfaces.items())]
    found += sorted(facts.names - set(facts.interfaces.values()) - {"lo"})
    return ", ".join(found) or "no address at all"
