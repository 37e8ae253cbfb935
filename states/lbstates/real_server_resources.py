"""What a real server shall have, so that it takes the packets that directors send it."""

from __future__ import annotations

from typing import Final

from .desired import RealServerState
from .facts import HostFacts, interface_of
from .kinds.address import Address
from .kinds.kind import Resource
from .kinds.service import CLIENT_PREFIX, family_of
from .kinds.sysctl import Sysctl

# The larger of `all` and the interface's own value counts, and `all` alone would do; both are written because tools
# that reset one interface (ifupdown, networkd) are common.
_ARP_SYSCTLS: Final = (("arp_ignore", "1"), ("arp_announce", "2"))


def resources(state: RealServerState, host: str, facts: HostFacts) -> tuple[Resource, ...]:
    """Derive them for `host`, one of the state's. Raises `CannotDerive`."""
    vips = list(dict.fromkeys(answer.vip for answer in state.answers if host in answer.hosts))
    if not vips:
        return ()
    interfaces = dict.fromkeys(("all", interface_of(host, state.hosts[host], facts)))
    sysctls = [Sysctl(f"net/ipv4/conf/{name}/{key}", value) for name in interfaces for key, value in _ARP_SYSCTLS]
    return (*sysctls, *(Address("lo", f"{vip}/{CLIENT_PREFIX[family_of(vip)]}") for vip in vips))
