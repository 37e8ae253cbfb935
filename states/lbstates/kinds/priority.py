"""By how much a director's priority in an election differs from what keepalived.conf says: a file that keepalived tracks."""

from __future__ import annotations

import re
from typing import Final

from .kind import Resource

YIELD: Final = -254
"""With this in its file keepalived gives its VIPs up at once, whatever the election says (FAULT)."""

_HAND_OVER: Final = "# hand over\n"
_TEXT: Final = re.compile(rf"(-?[0-9]{{1,3}})\n({_HAND_OVER})?")


class Priority(Resource, frozen=True, tag="priority"):
    """`adjustment` is added to the priority of the VRRP instance `instance`, and to those of its sync group.

    `hand_over`: a lower priority alone makes nobody else take over (nopreempt, or a delay of it), so that whoever is master
    when the adjustment changes has to give up once. The resource is all that the file says.
    """

    instance: str
    adjustment: int
    hand_over: bool = False

    @property
    def identity(self) -> str:
        return self.instance

    def describe(self) -> str:
        said = f"{self.adjustment:+d}" if self.adjustment else "as configured"
        return f"{said}, hands over" if self.hand_over else said

    @property
    def text(self) -> str:
        """What stands in the file; keepalived reads the number, and nothing behind it."""
        return f"{self.adjustment}\n{_HAND_OVER if self.hand_over else ''}"


def read_priority(instance: str, text: str) -> Priority | None:
    """Read what `Priority.text` wrote; None for anything else."""
    found = _TEXT.fullmatch(text)
    return None if found is None else Priority(instance, int(found[1]), hand_over=found[2] is not None)
