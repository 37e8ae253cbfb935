"""A rule that marks the packets to some ports of a VIP, so that one virtual service can take them all."""

from __future__ import annotations

from .kind import Resource
from .service import Family, Protocol


class Mark(Resource, frozen=True, tag="mark"):
    """`ports` are numbers and ranges ("80", "8000-8010"); the rule lies in an nftables table of our own."""

    protocol: Protocol
    address: str
    ports: tuple[str, ...]
    mark: int
    family: Family = "ipv4"

    @property
    def identity(self) -> str:
        return f"{self.protocol} {self.address} {','.join(self.ports)}"

    def describe(self) -> str:
        return f"mark {self.mark}"
