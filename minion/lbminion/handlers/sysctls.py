"""Kernel settings."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from lbminion import sysctl
from lbminion.errors import ChangeError
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted


class Sysctls:
    """Reads only what is wanted: there are thousands."""

    kinds = ("sysctl",)

    async def observe(self, wanted: Wanted) -> Observed:
        return {"sysctl": _read(wanted)}

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """Some microseconds for each wanted setting."""
        return _read(wanted) != observed.get("sysctl", {})

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        errors = []
        for change in changes:
            try:
                # A setting cannot be taken away: one whose earlier value nobody knows stays as it is.
                if isinstance(change.after, Sysctl):
                    sysctl.write(change.after.key, change.after.value)
            except ChangeError as error:
                errors.append(error)
        return errors

    def close(self) -> None:
        """Nothing is held open."""


def _read(wanted: Wanted) -> dict[str, Sysctl]:
    found = {}
    for key in wanted["sysctl"]:
        try:
            found[key] = Sysctl(key, sysctl.read(key))
        except ChangeError as error:
            # A setting that is not there reads as missing; writing it then says why.
            if error.errno != errno.ENOENT:
                raise
    return found
