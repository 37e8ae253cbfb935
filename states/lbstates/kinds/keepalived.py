"""keepalived on a director: its configuration file, and that it runs with it."""

from __future__ import annotations

from .kind import Resource


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

    def describe(self) -> str:
        lines = self.config.count("\n")
        return f"{'running' if self.running else 'not running'}, configuration of {lines} lines"
