"""Whether a service listens where its clients ask."""

from __future__ import annotations

import socket
import struct

import pytest

from lbminion.doctor.listeners import Listener, Wanted, covers, decode, judge, request
from lbminion.errors import BadKernelMessage
from lbminion.netlink.message import attribute

VIP = "10.0.0.100"
WEB = Wanted("tcp", VIP, 80)


def answer(address: str, port: int, *, only_v6: bool = False) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address).ljust(16, b"\0")
    body = struct.pack("=BBBB", family, 10, 0, 0) + struct.pack(">HH", port, 0) + packed + bytes(16 + 12 + 20)
    return body + (attribute(11, bytes([only_v6])) if family == socket.AF_INET6 else b"")


def test_the_question_fits_the_kernel() -> None:
    """An inet_diag_req_v2 of 56 bytes that names family, protocol and states."""
    asked = request("tcp", socket.AF_INET6)
    assert len(asked) == 56
    assert asked[:2] == bytes([socket.AF_INET6, 6])
    assert struct.unpack_from("=I", asked, 4) == (1 << 10,)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (answer("0.0.0.0", 80), Listener("tcp", "0.0.0.0", 80)),
        (answer("10.0.0.11", 8080), Listener("tcp", "10.0.0.11", 8080)),
        (answer("::", 80, only_v6=True), Listener("tcp", "::", 80, only_v6=True)),
        (answer("::", 80), Listener("tcp", "::", 80)),
    ],
)
def test_an_answer_is_read(raw: bytes, expected: Listener) -> None:
    """Address, port, and whether "::" is for IPv6 alone."""
    assert decode("tcp", raw) == expected


@pytest.mark.parametrize("raw", [b"", answer("0.0.0.0", 80)[:-1], b"\x63" + answer("0.0.0.0", 80)[1:]])
def test_a_damaged_answer_is_refused(raw: bytes) -> None:
    """Cut short, or of a family that is neither IPv4 nor IPv6."""
    with pytest.raises(BadKernelMessage):
        decode("tcp", raw)


@pytest.mark.parametrize(
    ("listener", "wanted", "expected"),
    [
        (Listener("tcp", "0.0.0.0", 80), WEB, True),
        (Listener("tcp", VIP, 80), WEB, True),
        (Listener("tcp", f"::ffff:{VIP}", 80), WEB, True),
        (Listener("tcp", "::", 80), WEB, True),
        (Listener("tcp", "::", 80, only_v6=True), WEB, False),
        (Listener("tcp", "10.0.0.11", 80), WEB, False),
        (Listener("udp", "0.0.0.0", 80), WEB, False),
        (Listener("tcp", "0.0.0.0", 81), WEB, False),
        (Listener("tcp", "0.0.0.0", 81), Wanted("tcp", VIP, 0), True),
        (Listener("tcp", "::", 80, only_v6=True), Wanted("tcp", "fd00::100", 80), True),
        (Listener("tcp", "0.0.0.0", 80), Wanted("tcp", "fd00::100", 80), False),
    ],
)
def test_what_covers_a_vip(listener: Listener, wanted: Wanted, expected: bool) -> None:
    """All addresses of its family, the VIP itself; not the real server's own address."""
    assert covers(listener, wanted) is expected


@pytest.mark.pitfall("R11")
def test_a_service_on_the_rip_only_is_found() -> None:
    """It is said where it does listen."""
    (found,) = judge([WEB], [Listener("tcp", "10.0.0.11", 80), Listener("tcp", "0.0.0.0", 22)])
    assert (found.id, found.severity, found.subject) == ("R11", "error", f"tcp {VIP}:80")
    assert "10.0.0.11:80" in found.seen
    assert f"{VIP}:80" in found.repair


@pytest.mark.pitfall("R11")
def test_a_port_without_a_service_is_found() -> None:
    """As another thing, with another repair."""
    (found,) = judge([WEB], [])
    assert "nothing listens" in found.seen
    assert not list(judge([WEB], [Listener("tcp", "::", 80)]))
