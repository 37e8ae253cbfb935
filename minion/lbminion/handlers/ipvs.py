"""The kernel's IPVS table: virtual services and their destinations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lbminion.errors import ChangeError, NoIpvs
from lbminion.netlink.ipvs import Ipvs
from lbminion.netlink.ipvs_table import Snapshot, Table
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted

_MODULE: Final = "ip_vs"


class IpvsTable:
    """Opened at the first use: a real server has no IPVS, and needs none.

    `foreign` names the entries that the last observation found and that no specification of ours can express.
    """

    kinds = ("service", "destination")

    def __init__(self) -> None:
        self._ipvs: Ipvs | None = None
        self.foreign: frozenset[str] = frozenset()
        self._newest: Table | None = None

    def table(self) -> Ipvs:
        """Open the table, or give the open one. Raises `HostError`."""
        if self._ipvs is None:
            self._ipvs = Ipvs()
        return self._ipvs

    async def observe(self, wanted: Wanted) -> Observed:
        if not _concerned(wanted):
            return {"service": {}, "destination": {}}
        table = self._snapshot(self.table()).table
        self.foreign = frozenset(table.foreign)
        return {"service": table.services, "destination": table.destinations}

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        return self.table().apply(changes)

    def snapshot(self) -> Snapshot | None:
        """Read table and counters, None where nothing of ours is in the table. Raises `HostError`."""
        return None if self._ipvs is None else self._snapshot(self._ipvs)

    def in_use(self) -> frozenset[str]:
        """Name the destinations that take new connections now, whoever made them. Raises `HostError`."""
        try:
            destinations = self._snapshot(self.table()).table.destinations
        except NoIpvs:
            return frozenset()
        return frozenset(identity for identity, destination in destinations.items() if destination.weight)

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """By the newest snapshot, so that the table is read once a second and not twice."""
        if self._newest is None or not _concerned(wanted):
            return False
        services, destinations = self._newest.services, self._newest.destinations
        return services != observed["service"] or destinations != observed["destination"]

    def _snapshot(self, ipvs: Ipvs) -> Snapshot:
        self._newest = None
        try:
            found = ipvs.snapshot()
        except NoIpvs:  # somebody took the module out: when it is back, it has another number
            self.close()
            raise
        self._newest = found.table
        return found

    def close(self) -> None:
        if self._ipvs is not None:
            self._ipvs.close()
            self._ipvs = None


def _concerned(wanted: Wanted) -> bool:
    """Whether the table is any of our business: a director's is also before it has services, if only to tell what is there."""
    return bool(wanted["service"] or wanted["destination"] or _MODULE in wanted.get("module", ()))
