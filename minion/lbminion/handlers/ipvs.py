"""The kernel's IPVS table: virtual services and their destinations."""

from __future__ import annotations

from collections.abc import Sequence

from lbminion.errors import ChangeError
from lbminion.netlink.ipvs import Ipvs, Snapshot
from lbstates.plan import Change

from .handler import Observed, Wanted


class IpvsTable:
    """Opened at the first use: a real server has no IPVS, and needs none.

    `foreign` names the entries that the last observation found and that no specification of ours can express.
    """

    kinds = ("service", "destination")

    def __init__(self) -> None:
        self._ipvs: Ipvs | None = None
        self.foreign: frozenset[str] = frozenset()

    def _table(self) -> Ipvs:
        if self._ipvs is None:
            self._ipvs = Ipvs()
        return self._ipvs

    async def observe(self, wanted: Wanted) -> Observed:
        if not (wanted["service"] or wanted["destination"]):
            return {"service": {}, "destination": {}}
        table = self._table().read()
        self.foreign = frozenset(table.foreign)
        return {"service": dict(table.services), "destination": dict(table.destinations)}

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        return self._table().apply(changes)

    def snapshot(self) -> Snapshot | None:
        """Read table and counters, None where nothing of ours is in the table. Raises `HostError`."""
        return None if self._ipvs is None else self._ipvs.snapshot()

    def close(self) -> None:
        if self._ipvs is not None:
            self._ipvs.close()
            self._ipvs = None
