"""A limit for the segments that clients send to a VIP: what a tunnel adds must still fit into the path."""

from __future__ import annotations

from .kind import Resource


class Clamp(Resource, frozen=True, tag="clamp"):
    """TCP answers from `address` announce at most `mss` bytes; the rule lies in an nftables table of our own."""

    address: str
    mss: int

    @property
    def identity(self) -> str:
        return self.address

    def describe(self) -> str:
        return f"segments of {self.mss} bytes"
