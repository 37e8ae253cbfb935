"""The check `dns`: what is asked, and which answers count."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.health.dns_packet import answers, judge, query
from lbminion.health.outcome import ProbeFailed, Target
from lbstates.checks import DnsCheck

from .answering import ask, datagrams, nobody, refused, serving

DNS = DnsCheck(name="Example.org", type="A", timeout=0.5, interval=1)


def response(asked: bytes, *, flags: int = 0x8180, records: int = 1) -> bytes:
    """An answer to a query; its records are not looked at."""
    return asked[:2] + flags.to_bytes(2, "big") + b"\0\1" + records.to_bytes(2, "big") + bytes(4) + asked[12:]


def test_the_query_is_one_of_rfc_1035() -> None:
    """As `dig` sends it, without its options."""
    assert query(DNS, 0x1234) == bytes.fromhex("123401000001000000000000") + b"\7Example\3org\0\0\1\0\1"
    assert query(DnsCheck(), 0)[12:] == b"\0\0\6\0\1"


def test_a_name_that_cannot_be_is_a_failure() -> None:
    with pytest.raises(ProbeFailed, match="63 characters"):
        query(DnsCheck(name="a" * 64), 1)


@pytest.mark.parametrize(
    ("flags", "records", "reason"),
    [
        (0x8182, 1, "SERVFAIL"),
        (0x8183, 0, "NXDOMAIN"),
        (0x8185, 0, "REFUSED"),
        (0x818B, 0, "error 11"),
        (0x8180, 0, "no record"),
    ],
)
def test_an_error_or_an_empty_answer_fails(flags: int, records: int, reason: str) -> None:
    with pytest.raises(ProbeFailed, match=reason):
        judge(response(query(DNS, 1), flags=flags, records=records))


def test_an_answer_that_was_too_long_for_udp_passes() -> None:
    """It says so, and leaves its records out."""
    assert judge(response(query(DNS, 1), flags=0x8380, records=0))


@pytest.mark.parametrize(
    "packet", [b"", query(DNS, 1), response(query(DNS, 2)), response(query(DnsCheck(name="other"), 1))]
)
def test_what_is_not_the_answer_is_not_taken_for_it(packet: bytes) -> None:
    """A late answer to an earlier probe, or somebody's noise."""
    assert not answers(query(DNS, 1), packet)


def test_a_server_may_write_the_name_in_other_letters() -> None:
    asked = query(DNS, 1)
    assert answers(asked, response(asked).replace(b"Example", b"eXAMPLE"))


@given(st.binary(max_size=600), st.binary(max_size=50))
def test_no_packet_can_do_anything_but_pass_or_fail(packet: bytes, tail: bytes) -> None:
    asked = query(DNS, 1)
    for each in (packet, asked[:2] + packet, response(asked) + tail):
        if answers(asked, each):
            assert judge(each)


@asynccontextmanager
async def name_server(reply: Callable[[bytes], list[bytes]]) -> AsyncIterator[Target]:
    """Answer every query with some packets."""
    loop = asyncio.get_running_loop()
    with datagrams() as (sock, target):

        def answer() -> None:
            asked, peer = sock.recvfrom(600)
            for packet in reply(asked):
                sock.sendto(packet, peer)

        loop.add_reader(sock, answer)
        try:
            yield target
        finally:
            loop.remove_reader(sock)


async def test_a_server_that_answers_passes() -> None:
    """Noise before the answer is passed over."""
    async with name_server(lambda asked: [b"noise", response(asked, records=2)]) as target:
        assert (await ask(target, DNS)).reason == "2 records"


async def test_a_server_that_refuses_fails() -> None:
    async with name_server(lambda asked: [response(asked, flags=0x8185, records=0)]) as target:
        assert await refused(target, DNS) == "the answer is REFUSED"


async def test_a_host_without_a_server_fails_at_once() -> None:
    assert await refused(nobody(socket.SOCK_DGRAM), DNS) == "connection refused"


async def test_a_server_that_says_nothing_ends_by_the_timeout() -> None:
    async with name_server(lambda _: []) as target:
        with pytest.raises(TimeoutError):
            await ask(target, DNS)


async def test_a_service_of_tcp_is_asked_by_tcp() -> None:
    """With the length before the message."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        packet = response(asked)
        writer.write(len(packet).to_bytes(2, "big"))
        await writer.drain()
        writer.write(packet)
        await writer.drain()

    async with serving(handle) as target:
        assert (await ask(target, DNS)).passed


async def test_a_service_of_tcp_that_closes_fails() -> None:
    async def handle(*_: object) -> None:
        return

    async with serving(handle) as target:
        assert await refused(target, DNS) in ("the connection was closed without an answer", "connection reset")
