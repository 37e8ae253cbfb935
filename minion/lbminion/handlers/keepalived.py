"""keepalived: its file and its process, and the VIPs that a killed one leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from lbminion.errors import ChangeError
from lbminion.keepalived import config_file, marks
from lbminion.keepalived.control import Control, PutReport
from lbminion.keepalived.errors import KeepalivedError
from lbminion.keepalived.leftovers import leftovers, remove_leftovers
from lbminion.keepalived.observation import observe
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.netlink.addresses import Addresses
from lbstates.keepalived_conf import vips
from lbstates.kinds.keepalived import Keepalived
from lbstates.plan import Change, Resources

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

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """Read file and process anew, which takes a fraction of a millisecond."""
        if not wanted["keepalived"]:
            return False
        return self._observe() != observed["keepalived"].get("keepalived")

    async def check(self, change: Change) -> None:
        """Have keepalived test the file that a change would bring. Raises `ChangeError`."""
        if isinstance(change.after, Keepalived) and config_file.is_ours(change.after.config):
            try:
                await config_file.check(change.after.config, self.paths)
            except (KeepalivedError, OSError) as error:
                raise ChangeError("keepalived", change.identity, str(error)) from error

    async def clean_up(self, changes: Iterable[Change]) -> None:
        """Nothing: this one looks only."""

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
                if isinstance(change.after, Keepalived):
                    self._done(await self._control.put(change.after))
                else:
                    self._done(await self._control.remove())
            except (KeepalivedError, OSError) as error:
                errors.append(ChangeError("keepalived", change.identity, str(error)))
        return errors

    async def clean_up(self, changes: Iterable[Change]) -> None:
        """Take the VIPs of a keepalived that was killed off this host. Raises `ChangeError`."""
        some = [of for change in changes for of in (change.before, change.after)]
        texts = [keepalived.config for keepalived in some if isinstance(keepalived, Keepalived)]
        if not texts:
            return
        known = [vip for text in texts for of_instance in vips(text).values() for vip in of_instance]
        present = (await self._addresses.dump()).values()
        found = leftovers(running=self._control.runs, vips=known, present=list(present))
        removed, failures = await remove_leftovers(found, self._addresses.delete)
        for vip in removed:
            logger.warning("removed the VIP %s, which a dead keepalived had left", vip.identity)
        if failures:
            raise failures[0]

    def close(self) -> None:
        self._control.close()
