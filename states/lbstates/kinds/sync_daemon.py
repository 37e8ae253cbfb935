"""One of the two kernel threads that carry the connection table from one director to the others."""

from __future__ import annotations

from typing import Literal

from .kind import Resource

SyncRole = Literal["master", "backup"]


class SyncDaemon(Resource, frozen=True, tag="sync_daemon"):
    """`role` says whether it sends (master) or receives (backup); all directors agree on the rest."""

    role: SyncRole
    sync_id: int
    interface: str
    maximum_length: int
    group: str
    port: int
    ttl: int

    @property
    def identity(self) -> str:
        return self.role

    def describe(self) -> str:
        head = f"id {self.sync_id} on {self.interface} to {self.group}:{self.port}"
        return f"{head}, ttl {self.ttl}, messages of {self.maximum_length} bytes"
