"""The check `udp`."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lbstates.checks import UdpCheck

from .answering import ask, datagrams, nobody, refused


def check(expect: str = "") -> UdpCheck:
    return UdpCheck(send="ping", expect=expect, timeout=0.3, interval=1)


async def test_a_port_that_is_not_refused_passes() -> None:
    """It says nothing, and nobody says that it is closed."""
    with datagrams() as (sock, target):
        assert (await ask(target, check())).reason == "not refused"
        assert sock.recv(10) == b"ping"


async def test_a_closed_port_fails() -> None:
    """By the ICMP message."""
    assert await refused(nobody(socket.SOCK_DGRAM), check()) == "connection refused"
    assert await refused(nobody(socket.SOCK_DGRAM), check("pong")) == "connection refused"


@pytest.mark.parametrize(("answer", "passes"), [(b"pong 1", True), (b"ping", False)])
async def test_an_answer_has_to_begin_as_expected(answer: bytes, passes: bool) -> None:
    """Another one is not it; the right one may still come."""
    loop = asyncio.get_running_loop()
    with datagrams() as (sock, target):
        loop.add_reader(sock, lambda: sock.sendto(answer, sock.recvfrom(10)[1]))
        try:
            if passes:
                assert (await ask(target, check("pong"))).passed
            else:
                with pytest.raises(TimeoutError):
                    await ask(target, check("pong"))
        finally:
            loop.remove_reader(sock)
