"""The errors of the master that a person has to act on. Refused messages of peers: `lbwire.errors`."""

from __future__ import annotations


class StartupError(Exception):
    """The master cannot start, or cannot be set up; the text says what is in the way, and the way out."""


class RequestError(Exception):
    """What was asked over the control socket cannot be done; `kind` is a stable word for scripts."""

    def __init__(self, kind: str, text: str, findings: tuple[dict[str, object], ...] = ()) -> None:
        super().__init__(text)
        self.kind = kind
        self.findings = findings
