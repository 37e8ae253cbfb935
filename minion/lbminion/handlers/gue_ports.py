"""The UDP ports on which a real server takes packets that were wrapped by GUE."""

from __future__ import annotations

from collections.abc import Sequence

from lbminion.errors import ChangeError
from lbminion.netlink.fou import GuePorts
from lbstates.kinds.gue_port import GuePort
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted


class HostGuePorts:
    """Opened at the first use: only real servers behind such a tunnel have any."""

    kinds = ("gue_port",)

    def __init__(self) -> None:
        self._opened: GuePorts | None = None

    def _ports(self) -> GuePorts:
        if self._opened is None:
            self._opened = GuePorts()
        return self._opened

    async def observe(self, wanted: Wanted) -> Observed:
        return {"gue_port": self._read(wanted)}

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """Two questions to the kernel, where a port is wanted."""
        return self._read(wanted) != observed.get("gue_port", {})

    def _read(self, wanted: Wanted) -> dict[str, GuePort]:
        return self._ports().read() if wanted["gue_port"] else {}

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors = []
        for change in changes:
            try:
                if isinstance(change.after, GuePort):
                    self._ports().add(change.after)
                elif isinstance(change.before, GuePort):
                    self._ports().delete(change.before)
            except ChangeError as error:
                errors.append(error)
        return errors

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
