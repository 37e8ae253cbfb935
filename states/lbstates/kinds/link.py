"""A tunnel device of a real server, by which packets arrive that a director has wrapped."""

from __future__ import annotations

from typing import Literal

from .kind import Resource

TunnelDevice = Literal["ipip", "gre", "sit", "ip6tnl", "ip6gre"]


class Link(Resource, frozen=True, tag="link"):
    """The device is up. It comes with its module (`tunl0` with ipip); taking it away means setting it down."""

    interface: str
    device: TunnelDevice

    @property
    def identity(self) -> str:
        return self.interface

    def describe(self) -> str:
        return f"{self.device}, up"
