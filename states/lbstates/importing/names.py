"""Names for what other tools do not name, or name with words that a cluster file does not take."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_MAX_NAME: Final = 63
_ROOM_FOR_A_NUMBER: Final = 6


def as_name(text: str) -> str:
    """Turn any word into a name of a cluster file: lower-case letters, digits, dots and hyphens."""
    name = re.sub(r"[^a-z0-9.-]+", "-", text.lower().replace("_", "-"))
    return name[: _MAX_NAME - _ROOM_FOR_A_NUMBER].strip(".-") or "unnamed"


def after_address(letter: str, address: str) -> str:
    """Name something after its address: r-10-0-0-1, r-fd00--1."""
    return as_name(f"{letter}-{re.sub('[.:]', '-', address)}" + ("0" if address.endswith(":") else ""))


@dataclass(slots=True)
class Names:
    """Gives every thing of one kind a name of its own."""

    used: set[str] = field(default_factory=set)

    def unique(self, wanted: str) -> str:
        """Return the name that is wanted, with a number behind it if another thing has it."""
        name, number = wanted, 1
        while name in self.used:
            number += 1
            name = f"{wanted}-{number}"
        self.used.add(name)
        return name
