"""A kernel module that is loaded, now and at every boot."""

from __future__ import annotations

from .kind import Resource


class Module(Resource, frozen=True, tag="module"):
    """Taking it away means that it is no longer loaded at boot: others may use it, so it is never unloaded."""

    name: str

    @property
    def identity(self) -> str:
        return self.name
