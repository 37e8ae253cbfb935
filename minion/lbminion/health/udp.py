"""The check `udp`: a datagram is not refused, or is answered as it should be."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from lbstates.checks import UdpCheck

from .outcome import Outcome, Target
from .sockets import connected, opened

_MOST: Final = 64 * 1024
_QUIET_SHARE: Final = 0.8
"""Of the timeout: so long without a refusal is taken for none, where no answer is expected."""


async def probe(target: Target, check: UdpCheck) -> Outcome:
    """Send, and wait for an answer or a refusal (ICMP). Raises `ProbeFailed`, `CannotProbe`."""
    expected = check.expect.encode()
    with opened(target, socket.SOCK_DGRAM) as sock:
        await connected(sock, target)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, check.send.encode())
        if not expected:
            return await _unrefused(sock, check.timeout * _QUIET_SHARE)
        while True:
            if (await loop.sock_recv(sock, _MOST)).startswith(expected):
                return Outcome(True, f"answered {check.expect!r}")


async def _unrefused(sock: socket.socket, seconds: float) -> Outcome:
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_recv(sock, _MOST)
    except TimeoutError:
        return Outcome(True, "not refused")
    return Outcome(True, "answered")
