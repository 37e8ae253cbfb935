"""What is probed, and what came of it: values only."""

from __future__ import annotations

from typing import NamedTuple

from lbstates.kinds.service import Protocol, endpoint


class Target(NamedTuple):
    """Where a probe goes.

    `address` is a bare address; with a `mark` it is the VIP, and IPVS takes what has the mark to one real server.
    `source`: an own address to ask from ("": whichever the kernel takes). `real_server` is the real server's own
    address and `vip` the service's, for those to whom it matters who is asked.
    """

    address: str
    port: int
    protocol: Protocol = "tcp"
    mark: int = 0
    source: str = ""
    real_server: str = ""
    vip: str = ""

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


class Outcome(NamedTuple):
    """Whether a probe passed; `reason` says what it met. `days` until the real server's certificate ends, if that is near."""

    passed: bool
    reason: str
    days: float | None = None


class ProbeFailed(Exception):
    """The real server did not answer as it should; the text says what it did instead."""


class CannotProbe(Exception):
    """This host could not ask just now, which says nothing about the real server."""
