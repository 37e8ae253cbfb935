"""keepalived on a director: its configuration file, and that it runs with it."""

from __future__ import annotations

import difflib
import re
from typing import Final

from .kind import Resource

MARKER: Final = "# Written by lbmaster"
"""How the first line of each of our files begins, so that a file of somebody else is known as such."""

_SECRET: Final = re.compile(r"(\bauth_(?:pass|hmac)\s+)\S.*")
_MASKED: Final = r"\1********"


class Keepalived(Resource, frozen=True, tag="keepalived"):
    """`config` is the whole text of keepalived.conf ("" when there is no file); there is one keepalived per host.

    `running` means: a keepalived process lives *and has loaded this text*. The observer compares the text that the
    process loaded, so a file that was replaced but not reloaded reads as `running=False`.
    """

    config: str
    running: bool

    @property
    def identity(self) -> str:
        return "keepalived"

    @property
    def ours(self) -> bool:
        return self.config.startswith(MARKER)

    @property
    def shown(self) -> str:
        """The text without its passwords, for people and logs."""
        return _SECRET.sub(_MASKED, self.config)

    def describe(self) -> str:
        lines = self.config.count("\n")
        return f"{'running' if self.running else 'not running'}, configuration of {lines} lines"

    @classmethod
    def details(cls, before: Resource | None, after: Resource | None) -> tuple[str, ...]:
        """A unified diff of the two files; passwords are compared, but not shown."""
        lines = difflib.unified_diff(_lines(before), _lines(after), "keepalived.conf", "keepalived.conf", lineterm="")
        return tuple(_SECRET.sub(_MASKED, line) for line in lines)

    def __repr__(self) -> str:
        """Leave the text out, which may hold a password: representations end up in logs."""
        return f"Keepalived({self.describe()})"


def _lines(resource: Resource | None) -> list[str]:
    return resource.config.splitlines() if isinstance(resource, Keepalived) else []
