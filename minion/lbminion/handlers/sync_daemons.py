"""The kernel threads that carry the connection table between directors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbminion.errors import ChangeError, NoIpvs
from lbminion.netlink.ipvs import Ipvs
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted


class SyncDaemons:
    """`table` opens IPVS, which is shared with the other handlers that need it, and belongs to one of them."""

    kinds = ("sync_daemon",)

    def __init__(self, table: Callable[[], Ipvs]) -> None:
        self._table = table

    async def observe(self, wanted: Wanted) -> Observed:
        return {"sync_daemon": self._read(wanted)}

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """One question to the kernel, where they are wanted."""
        return self._read(wanted) != observed.get("sync_daemon", {})

    def _read(self, wanted: Wanted) -> dict[str, SyncDaemon]:
        if not wanted["sync_daemon"]:
            return {}
        try:
            return dict(self._table().read_daemons())
        except NoIpvs:  # the plan that loads the module has still to be made
            return {}

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors = []
        for change in changes:
            try:
                self._make(change)
            except ChangeError as error:
                errors.append(error)
        return errors

    def _make(self, change: Change) -> None:
        """The kernel cannot change a daemon that runs: it is stopped, and started as it shall be."""
        if isinstance(change.before, SyncDaemon):
            self._table().stop_daemon(change.before.role)
        if isinstance(change.after, SyncDaemon):
            self._table().start_daemon(change.after)

    def close(self) -> None:
        """The socket belongs to whoever opens it."""
