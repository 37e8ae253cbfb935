"""An IPVS virtual service, without its destinations and without its statistics."""

from __future__ import annotations

from typing import Literal

import msgspec

from .kind import Resource

Protocol = Literal["tcp", "udp", "sctp"]
Family = Literal["ipv4", "ipv6"]

CLIENT_PREFIX: dict[Family, int] = {"ipv4": 32, "ipv6": 128}
"""The prefix length by which persistence takes every client for itself."""


class Persistence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Clients of one network stay on one destination for `timeout` seconds after their last connection.

    `netmask` is the prefix length of such a network; `engine` names what tells clients apart instead ("sip").
    """

    timeout: int
    netmask: int
    engine: str | None = None


class Service(Resource, frozen=True, tag="service"):
    """Identified by protocol, address and port, or by a firewall mark (then `protocol` is None, `address` "", `port` 0).

    `address` is the VIP without prefix length, port 0 means all ports. `flags` are those of the scheduler, sorted, in
    ipvsadm's words ("sh-fallback").
    """

    protocol: Protocol | None
    address: str
    port: int
    scheduler: str
    flags: tuple[str, ...] = ()
    persistence: Persistence | None = None
    one_packet: bool = False
    mark: int = 0
    mark_family: Family = "ipv4"

    @property
    def family(self) -> Family:
        """The family of its clients: an address says its own, a mark does not."""
        return family_of(self.address) if self.address else self.mark_family

    @property
    def identity(self) -> str:
        if self.protocol is None:
            return mark_identity(self.mark, self.family)
        return service_identity(self.protocol, self.address, self.port)

    def describe(self) -> str:
        said = [" ".join((self.scheduler, *self.flags))]
        if self.persistence is not None:
            said.append(_persistent(self.persistence, self.family))
        if self.one_packet:
            said.append("one-packet")
        return ", ".join(said)


def _persistent(persistence: Persistence, family: Family) -> str:
    said = f"persistent {persistence.timeout} s"
    if persistence.netmask != CLIENT_PREFIX[family]:
        said += f" per /{persistence.netmask}"
    return said if persistence.engine is None else f"{said} by {persistence.engine}"


def service_identity(protocol: str, address: str, port: int) -> str:
    """Write a virtual service as `ipvsadm` users do: "tcp 172.28.128.200:80", "tcp [2001:db8::1]:80"."""
    return f"{protocol} {endpoint(address, port)}"


def mark_identity(mark: int, family: Family) -> str:
    """Write a virtual service by firewall mark as `ipvsadm` does: "fwmark 7", "fwmark 7 IPv6"."""
    return f"fwmark {mark} IPv6" if family == "ipv6" else f"fwmark {mark}"


def endpoint(address: str, port: int) -> str:
    """Write address and port as one word; an IPv6 address stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def family_of(address: str) -> Family:
    """Tell the family of an address that is one."""
    return "ipv6" if ":" in address else "ipv4"
