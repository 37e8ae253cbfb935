"""IP addresses on interfaces."""

from __future__ import annotations

from collections.abc import Sequence

from lbminion.errors import ChangeError
from lbminion.netlink.addresses import Addresses, UnusableAddress, interfaces
from lbstates.kinds.address import Address
from lbstates.plan import Change

from .handler import Observed, Wanted


class HostAddresses:
    """All addresses are read at once, which costs less than asking for some.

    A look begins with `interfaces`; the observation that follows is of the same reading, so that the two agree and the
    kernel is asked once.
    """

    kinds = ("address",)

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._read: dict[str, Address] | None = None

    async def interfaces(self) -> dict[str, str]:
        """Read which interface has which address, bare. Raises `HostError`."""
        self._read = await self._addresses.dump()
        return interfaces(self._read.values())

    async def observe(self, _wanted: Wanted) -> Observed:
        found, self._read = self._read, None
        return {"address": dict(await self._addresses.dump()) if found is None else dict(found)}

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors = []
        for change in changes:
            try:
                if isinstance(change.before, UnusableAddress):  # the kernel keeps what it once found out about one
                    await self._addresses.delete(change.before)
                if isinstance(change.after, Address):
                    await self._addresses.add(change.after)
                elif isinstance(change.before, Address):
                    await self._addresses.delete(change.before)
            except ChangeError as error:
                errors.append(error)
        return errors

    def close(self) -> None:
        """The socket belongs to whoever opened it."""
