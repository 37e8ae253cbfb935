"""Tunnel devices of real servers: up, or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, get_args

from lbminion.errors import ChangeError
from lbminion.netlink.links import Links
from lbstates.kinds.link import Link, TunnelDevice
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted

_DEVICES: Final = get_args(TunnelDevice)


class TunnelLinks:
    """Reads only what is wanted. A device that is down, or is of another sort, reads as missing."""

    kinds = ("link",)

    def __init__(self) -> None:
        self._opened: Links | None = None

    def _links(self) -> Links:
        if self._opened is None:
            self._opened = Links()
        return self._opened

    async def observe(self, wanted: Wanted) -> Observed:
        return {"link": self._read(wanted)}

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """One question per wanted device, of some microseconds."""
        return self._read(wanted) != observed.get("link", {})

    def _read(self, wanted: Wanted) -> dict[str, Link]:
        found = {}
        for name in wanted["link"]:
            state = self._links().read(name)
            if state is not None and state.up and state.sort in _DEVICES:
                found[name] = Link(name, cast("TunnelDevice", state.sort))
        return found

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors = []
        for change in changes:
            try:
                if isinstance(change.after, Link):
                    self._put(change.after)
                else:
                    self._links().set_down(change.identity)
            except ChangeError as error:
                errors.append(error)
        return errors

    def _put(self, link: Link) -> None:
        state = self._links().read(link.interface)
        if state is None:
            raise ChangeError("link", link.interface, f"is not there: it comes with the kernel module of {link.device}")
        if state.sort != link.device:
            found = state.sort or "hardware"
            raise ChangeError(
                "link",
                link.interface,
                f"is a device of the sort {found}, not {link.device}: rename it, and load the module anew",
            )
        self._links().set_up(link.interface)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
