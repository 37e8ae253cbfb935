"""An IPVS virtual service, without its destinations and without its statistics."""

from __future__ import annotations

from typing import Literal

from .kind import Resource

Protocol = Literal["tcp", "udp"]


class Service(Resource, frozen=True, tag="service"):
    """Identified by protocol, address and port; `address` is the VIP without prefix length."""

    protocol: Protocol
    address: str
    port: int
    scheduler: str

    @property
    def identity(self) -> str:
        return service_identity(self.protocol, self.address, self.port)

    def describe(self) -> str:
        return self.scheduler


def service_identity(protocol: str, address: str, port: int) -> str:
    """Write a virtual service as `ipvsadm` users do: "tcp 172.28.128.200:80", "tcp [2001:db8::1]:80"."""
    return f"{protocol} {endpoint(address, port)}"


def endpoint(address: str, port: int) -> str:
    """Write address and port as one word; an IPv6 address stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
