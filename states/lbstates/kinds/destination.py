"""One real server inside one IPVS virtual service."""

from __future__ import annotations

from typing import Literal

from .kind import Resource
from .service import Protocol, endpoint, service_identity

Forwarding = Literal["direct", "tunnel", "masquerade"]


class Destination(Resource, frozen=True, tag="destination"):
    """Identified by its virtual service (`protocol`, `vip`, `vport`) and its own `address` and `port`."""

    protocol: Protocol
    vip: str
    vport: int
    address: str
    port: int
    forwarding: Forwarding
    weight: int

    @property
    def service(self) -> str:
        """The identity of the virtual service that it belongs to."""
        return service_identity(self.protocol, self.vip, self.vport)

    @property
    def identity(self) -> str:
        return f"{self.service} -> {endpoint(self.address, self.port)}"

    def describe(self) -> str:
        return f"{self.forwarding}, weight {self.weight}"
