"""How long IPVS keeps the entries of silent connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbminion.errors import ChangeError, NoIpvs
from lbminion.netlink.ipvs import Ipvs
from lbstates.kinds.timeouts import Timeouts
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted


class IpvsTimeouts:
    """`table` opens IPVS, which is shared with the other handlers that need it, and belongs to one of them."""

    kinds = ("timeouts",)

    def __init__(self, table: Callable[[], Ipvs]) -> None:
        self._table = table

    async def observe(self, wanted: Wanted) -> Observed:
        return {"timeouts": self._read(wanted)}

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """One question to the kernel, where they are wanted."""
        return self._read(wanted) != observed.get("timeouts", {})

    def _read(self, wanted: Wanted) -> dict[str, Timeouts]:
        if not wanted["timeouts"]:
            return {}
        try:
            found = self._table().read_timeouts()
        except NoIpvs:  # the plan that loads the module has still to be made
            return {}
        return {found.identity: found}

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors = []
        for change in changes:
            try:
                # They cannot be taken away: those whose earlier values nobody knows stay as they are.
                if isinstance(change.after, Timeouts):
                    self._table().set_timeouts(change.after)
            except ChangeError as error:
                errors.append(error)
        return errors

    def close(self) -> None:
        """The socket belongs to whoever opens it."""
