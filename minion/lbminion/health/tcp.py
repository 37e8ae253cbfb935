"""The check `tcp`: a connection is accepted."""

from __future__ import annotations

import socket

from lbstates.checks import TcpCheck

from .outcome import Outcome, Target
from .sockets import connected, opened

_PASSED = Outcome(True, "connected")


async def probe(target: Target, check: TcpCheck) -> Outcome:  # noqa: ARG001 - there is nothing to say about it
    """Connect, and reset the connection. Raises `ProbeFailed`, `CannotProbe`."""
    with opened(target, socket.SOCK_STREAM) as sock:
        await connected(sock, target)
    return _PASSED
