"""The checks `http` and `https`: a request is answered as it should be."""

from __future__ import annotations

import socket
from typing import Final, Protocol

from lbstates.checks import HttpCheck, HttpsCheck

from .http_answer import Answer, request
from .outcome import Outcome, Target
from .sockets import Stream, connected, opened
from .tls import Tls

_HTTP, _HTTPS = 80, 443
_READ: Final = 16 * 1024


class _Transport(Protocol):
    async def send(self, data: bytes) -> None: ...
    async def receive(self, most: int) -> bytes: ...


async def probe(target: Target, check: HttpCheck) -> Outcome:
    """Ask, and read the answer as far as it matters. Raises `ProbeFailed`, `CannotProbe`."""
    with opened(target, socket.SOCK_STREAM) as sock:
        await connected(sock, target)
        return Outcome(True, await _ask(Stream(sock), check, target, _HTTP))


async def probe_by_tls(target: Target, check: HttpsCheck) -> Outcome:
    """Do the same over TLS. Raises `ProbeFailed`, `CannotProbe`."""
    with opened(target, socket.SOCK_STREAM) as sock:
        await connected(sock, target)
        tls = Tls(Stream(sock), check, target)
        await tls.handshake()
        said = await _ask(tls, check, target, _HTTPS)
        days = tls.days_left() if check.expiry_days else None
        return Outcome(True, said, days if days is not None and days < check.expiry_days else None)


async def _ask(stream: _Transport, check: HttpCheck, target: Target, usual_port: int) -> str:
    await stream.send(request(check, target, usual_port))
    answer = Answer(check)
    while True:
        data = await stream.receive(_READ)
        if said := answer.take(data):
            return said
