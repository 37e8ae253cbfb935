"""Calls of a real server to its own VIPs (R8): how the kernel is asked, and what is said."""

from __future__ import annotations

import socket
import struct

import pytest

from lbminion.doctor.listeners import Wanted
from lbminion.doctor.own_clients import Call, decode, judge, request
from lbminion.errors import BadKernelMessage


def _answer(family: int, there: bytes, port: int) -> bytes:
    return struct.pack("=BBBB2sH16s16sI8s20s", family, 1, 0, 0, b"", socket.htons(port), b"", there, 0, b"", b"")


@pytest.mark.parametrize(
    ("family", "there", "vip"),
    [
        (socket.AF_INET, bytes([10, 0, 0, 100]), "10.0.0.100"),
        (socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "fd00::100"), "fd00::100"),
        (socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.100"), "10.0.0.100"),
    ],
)
def test_an_answer_says_who_is_called(family: int, there: bytes, vip: str) -> None:
    assert decode(_answer(family, there, 443)) == Call(vip, 443)


@pytest.mark.parametrize("payload", [b"", b"\2" * 40, _answer(99, b"", 1)])
def test_an_answer_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(BadKernelMessage):
        decode(payload)


def test_the_kernel_picks_the_sockets() -> None:
    """One question and one jump per VIP, but for the last, whose yes is the end of the program and whose no is beyond."""
    program = request(["10.0.0.100", "10.0.0.101"], socket.AF_INET)[56 + 4 :]
    assert struct.unpack_from("=BBH", program, 0) == (8, 16, 20)
    assert struct.unpack_from("=BBH", program, 16) == (1, 4, 20)
    assert struct.unpack_from("=BBH", program, 20) == (8, 16, 20)
    assert len(program) == 36


def test_calls_are_said_once_per_vip() -> None:
    """With the ports that are called most."""
    calls = [Call("10.0.0.100", 80)] * 3 + [Call("10.0.0.100", 443), Call("fd00::100", 80)]
    wanted = [Wanted("tcp", "10.0.0.100", 80), Wanted("tcp", "10.0.0.100", 443), Wanted("tcp", "fd00::100", 0)]
    found = list(judge(calls, wanted))
    assert [(it.id, it.severity, it.subject) for it in found] == [
        ("R8", "warning", "10.0.0.100"),
        ("R8", "warning", "fd00::100"),
    ]
    assert "3 to 10.0.0.100:80, 1 to 10.0.0.100:443" in found[0].seen
    assert not list(judge([], wanted))


def test_the_other_end_of_a_call_and_other_protocols_are_none() -> None:
    """It has the caller's port, of which no service is known."""
    assert not list(judge([Call("10.0.0.100", 51438)], [Wanted("tcp", "10.0.0.100", 80)]))
    assert not list(judge([Call("10.0.0.100", 53)], [Wanted("udp", "10.0.0.100", 53)]))
