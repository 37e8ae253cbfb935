"""A kernel setting below /proc/sys."""

from __future__ import annotations

from .kind import Resource


class Sysctl(Resource, frozen=True, tag="sysctl"):
    """`key` is the path below /proc/sys ("net/ipv4/conf/all/arp_ignore"): an interface's name may hold dots."""

    key: str
    value: str

    @property
    def identity(self) -> str:
        return self.key

    def describe(self) -> str:
        return self.value
