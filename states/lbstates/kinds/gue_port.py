"""A UDP port on which a real server takes packets that a director has wrapped by GUE."""

from __future__ import annotations

from .kind import Resource
from .service import Family


class GuePort(Resource, frozen=True, tag="gue_port"):
    """`family` is that of the packets which carry the others."""

    port: int
    family: Family = "ipv4"

    @property
    def identity(self) -> str:
        return f"{self.family} udp {self.port}"
