"""An IP address on an interface: the VIP on a real server's `lo`."""

from __future__ import annotations

from .kind import Resource


class Address(Resource, frozen=True, tag="address"):
    """`address` is written with its prefix length ("172.28.128.200/32").

    The label is for people (`ip addr` shows it) and is no part of what is compared or identified: an address that an
    operator added by hand, without it, serves as well.
    """

    interface: str
    address: str

    @property
    def identity(self) -> str:
        return f"{self.interface} {self.address}"

    @property
    def label(self) -> str:
        """The kernel's limit for a label is 15 characters, and it must begin with the interface's name."""
        return f"{self.interface}:vip"[:15]
