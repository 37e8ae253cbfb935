"""One real server inside one IPVS virtual service."""

from __future__ import annotations

from typing import Literal

import msgspec

from .kind import Resource
from .service import endpoint

Forwarding = Literal["direct", "tunnel", "masquerade", "local"]
TunnelType = Literal["ipip", "gre", "gue"]
Checksum = Literal["none", "full", "remote"]


class Tunnel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How packets are wrapped on their way to a destination; `port` (UDP) is for gue alone, `checksum` not for ipip."""

    type: TunnelType = "ipip"
    port: int = 0
    checksum: Checksum = "none"

    def describe(self) -> str:
        """Say it in one line: "gue port 6080 checksum full"."""
        said = f"{self.type} port {self.port}" if self.port else self.type
        return said if self.checksum == "none" else f"{said} checksum {self.checksum}"


class Destination(Resource, frozen=True, tag="destination"):
    """Identified by its virtual service (the identity of one) and its own `address` and `port`.

    `forwarding` local is a method that others may have written; the kernel delivers what is addressed to itself by any
    method. `tunnel` is given with forwarding tunnel only. Above `upper` connections it gets no new ones until they are
    below `lower` (0: no limit).
    """

    service: str
    address: str
    port: int
    forwarding: Forwarding
    weight: int
    upper: int = 0
    lower: int = 0
    tunnel: Tunnel | None = None

    @property
    def identity(self) -> str:
        return destination_identity(self.service, self.address, self.port)

    def describe(self) -> str:
        method = self.forwarding if self.tunnel is None else f"{self.forwarding} {self.tunnel.describe()}"
        said = f"{method}, weight {self.weight}"
        return f"{said}, thresholds {self.lower} to {self.upper}" if self.upper or self.lower else said


def destination_identity(service: str, address: str, port: int) -> str:
    """Write a destination behind the identity of its service: "tcp 172.28.128.200:80 -> 172.28.128.10:80"."""
    return f"{service} -> {endpoint(address, port)}"
