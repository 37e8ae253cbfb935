"""By how much priorities are adjusted: small files that keepalived watches, in a directory that survives a reboot.

keepalived adds the number in such a file at once and without a reload, and takes one that is missing for 0.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from lbminion.errors import ChangeError
from lbminion.keepalived import config_file
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.keepalived.waiting import until
from lbservice.files import sync_directory, write_atomically
from lbstates.kinds.priority import YIELD, Priority, read_priority
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted

logger = logging.getLogger(__name__)

_YIELD_SECONDS: Final = 3.0
"""keepalived needs some milliseconds to give up."""


class Priorities:
    """One file per election; `masters` names the VRRP instances that are MASTER here now."""

    kinds = ("priority",)

    def __init__(self, keepalived: KeepalivedPaths, masters: Callable[[], frozenset[str]]) -> None:
        self._keepalived, self._masters = keepalived, masters
        self._folder = keepalived.adjustments

    async def observe(self, wanted: Wanted) -> Observed:
        return {"priority": self._read(wanted)}

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """Some microseconds for each election."""
        return self._read(wanted) != observed.get("priority", {})

    def _read(self, wanted: Wanted) -> dict[str, Priority]:
        found = {}
        for instance in wanted.get("priority", ()):
            try:
                text = (self._folder / instance).read_text(encoding="ascii")
            except (FileNotFoundError, UnicodeDecodeError):
                continue
            # A text that is none of ours counts as missing, so that it is written anew.
            priority = read_priority(instance, text)
            if priority is not None:
                found[instance] = priority
        return found

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors = []
        for change in changes:
            try:
                if isinstance(change.after, Priority):
                    await self._set(change.before, change.after)
                else:
                    (self._folder / change.identity).unlink(missing_ok=True)
                    sync_directory(self._folder)
            except OSError as error:
                reason = f"{error.filename or self._folder / change.identity}: {error.strerror}"
                errors.append(ChangeError("priority", change.identity, reason))
        return errors

    async def _set(self, before: object, after: Priority) -> None:
        now = before.adjustment if isinstance(before, Priority) else 0
        try:
            if after.hand_over and now != after.adjustment and self._is_master(after.instance):
                await self._give_up(after)
        finally:
            self._write(after)

    def _is_master(self, instance: str) -> bool:
        """Whether this director has the VIPs, by a keepalived that watches the file."""
        return instance in self._masters() and str(self._folder / instance) in config_file.read(self._keepalived)

    async def _give_up(self, after: Priority) -> None:
        """Let somebody else become master, who then stays it because nobody preempts."""
        self._write(Priority(after.instance, YIELD, after.hand_over), durable=False)
        if not await until(lambda: after.instance not in self._masters(), _YIELD_SECONDS):
            logger.warning("%s was to be given up, and is still held here", after.instance)

    def _write(self, priority: Priority, *, durable: bool = True) -> None:
        self._folder.mkdir(mode=0o755, exist_ok=True)
        write_atomically(self._folder / priority.instance, priority.text.encode(), durable=durable)

    def close(self) -> None:
        """Nothing is held open; the adjustments go on."""
