"""The check `dns`: a query is answered, by the protocol of the service."""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import Final

from lbstates.checks import DnsCheck

from .dns_packet import answers, judge, query
from .outcome import Outcome, ProbeFailed, Target
from .sockets import Stream, connected, opened

_MOST: Final = 64 * 1024
_LENGTH: Final = 2


async def probe(target: Target, check: DnsCheck) -> Outcome:
    """Ask, and wait for the answer to just this. Raises `ProbeFailed`, `CannotProbe`."""
    asked = query(check, secrets.randbits(16))
    if target.protocol != "udp":
        return Outcome(True, judge(await _by_tcp(target, asked)))
    with opened(target, socket.SOCK_DGRAM) as sock:
        await connected(sock, target)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, asked)
        while True:
            packet = await loop.sock_recv(sock, _MOST)
            if answers(asked, packet):
                return Outcome(True, judge(packet))


async def _by_tcp(target: Target, asked: bytes) -> bytes:
    """A message has its length before it."""
    with opened(target, socket.SOCK_STREAM) as sock:
        await connected(sock, target)
        stream = Stream(sock)
        await stream.send(len(asked).to_bytes(_LENGTH, "big") + asked)
        found = b""
        while len(found) < _LENGTH or len(found) < _LENGTH + int.from_bytes(found[:_LENGTH], "big"):
            data = await stream.receive(_MOST)
            if not data:
                raise ProbeFailed("the connection was closed without an answer")
            found += data
    packet = found[_LENGTH : _LENGTH + int.from_bytes(found[:_LENGTH], "big")]
    if not answers(asked, packet):
        raise ProbeFailed("the answer is not one to this query")
    return packet
