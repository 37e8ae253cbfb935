"""What differs between the keepalived releases that directors run: 2.2 to 2.4. Pure.

A difference is one line in the table below; whoever renders asks whether a release `can` do it.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from .errors import CannotDerive

Version: TypeAlias = tuple[int, int, int]
Ability = Literal["track routes without interface"]

OLDEST: Final[Version] = (2, 2, 0)
"""What is older has options of other names, and nobody has tried it with our files."""

# keepalived's own release notes say since when.
_SINCE: Final[dict[Ability, Version]] = {
    # Before that a virtual route without `dev` brings a warning, unless it says that it shall not be tracked.
    "track routes without interface": (2, 3, 2),
}
_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def known(host: str, version: str | None) -> Version:
    """Return the version of the keepalived on `host` as numbers.

    Raises `CannotDerive` when there is none, or one for which we have no file.
    """
    if version is None:
        raise CannotDerive(host, "keepalived is not installed", "install it (Debian: apt-get install keepalived)")
    found = _NUMBERS.match(version)
    numbers: Version = (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST[:2]))
        raise CannotDerive(f"{host}: keepalived {version}", f"it is older than {oldest}", f"install {oldest} or newer")
    return numbers


def can(ability: Ability, version: Version) -> bool:
    """Tell whether a release has an ability."""
    return version >= _SINCE[ability]
