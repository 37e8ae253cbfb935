"""keepalived: its file and its process, and the VIPs that a killed one leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from lbminion.errors import ChangeError
from lbminion.keepalived import config_file, marks
from lbminion.keepalived.control import Control, PutReport
from lbminion.keepalived.errors import KeepalivedError
from lbminion.keepalived.leftovers import leftovers
from lbminion.keepalived.observation import observe
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.keepalived.process import find
from lbminion.netlink.addresses import Addresses
from lbstates.keepalived_conf import vips
from lbstates.kinds.keepalived import Keepalived
from lbstates.plan import Change

from .handler import Observed, Wanted

logger = logging.getLogger(__name__)


class KeepalivedReader:
    """Looks only: for a plan that nobody executes."""

    kinds = ("keepalived",)

    def __init__(self, paths: KeepalivedPaths) -> None:
        self.paths = paths

    @property
    def held(self) -> bool:
        """An operator stopped keepalived, and nobody has pushed since."""
        return marks.held(self.paths)

    def release_hold(self) -> None:
        """A push overrules the operator's stop."""
        marks.release(self.paths)

    async def observe(self, wanted: Wanted) -> Observed:
        found = self._observe() if wanted["keepalived"] else None
        return {"keepalived": {} if found is None else {found.identity: found}}

    def _observe(self) -> Keepalived | None:
        return observe(self.paths)

    async def check(self, change: Change) -> None:
        """Have keepalived test the file that a change would bring. Raises `ChangeError`."""
        if isinstance(change.after, Keepalived) and config_file.is_ours(change.after.config):
            try:
                await config_file.check(change.after.config, self.paths)
            except (KeepalivedError, OSError) as error:
                raise ChangeError("keepalived", change.identity, str(error)) from error

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        return [ChangeError("keepalived", change.identity, "is only looked at here") for change in changes]

    def close(self) -> None:
        """Nothing is held open."""


class KeepalivedHost(KeepalivedReader):
    """Reads and changes; `done` is told what was done to keepalived."""

    def __init__(
        self, paths: KeepalivedPaths, control: Control, addresses: Addresses, done: Callable[[PutReport], None]
    ) -> None:
        super().__init__(paths)
        self._control, self._addresses, self._done = control, addresses, done

    def _observe(self) -> Keepalived | None:
        """As the reader does; the control also notices by it that somebody else started keepalived."""
        return self._control.observe()

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors: list[ChangeError] = []
        for change in changes:
            try:
                await self._clean_up(change)
                if isinstance(change.after, Keepalived):
                    self._done(await self._control.put(change.after))
                else:
                    self._done(await self._control.remove())
            except (KeepalivedError, OSError) as error:
                errors.append(ChangeError("keepalived", change.identity, str(error)))
            except ChangeError as error:
                errors.append(error)
        return errors

    async def _clean_up(self, change: Change) -> None:
        """Take the VIPs of a keepalived that was killed off this host: its peer has them by now, or soon will."""
        texts = [some.config for some in (change.before, change.after) if isinstance(some, Keepalived)]
        known = [vip for text in texts for of_instance in vips(text).values() for vip in of_instance]
        present = (await self._addresses.dump()).values()
        for vip in leftovers(running=find(self.paths) is not None, vips=known, present=list(present)):
            logger.warning("removing the VIP %s, which a dead keepalived left", vip.identity)
            await self._addresses.delete(vip)

    def close(self) -> None:
        self._control.close()
