"""ARP frames: what neighbours learn from them, and what is read of theirs."""

from __future__ import annotations

import socket
import struct

import pytest

from lbminion import arp_frames

VIP = "10.0.0.100"
R1 = "02:00:00:00:00:11"


def reply(address: str, mac: str, *, operation: int = 2, ethertype: int = 0x0806) -> bytes:
    sender = bytes.fromhex(mac.replace(":", ""))
    head = bytes(6) + sender + struct.pack("!H", ethertype)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + body + sender + socket.inet_aton(address) + bytes(10)


def test_a_probe_names_nobody_as_its_sender() -> None:
    """So no neighbour learns an address from it (RFC 5227)."""
    frame = arp_frames.probe(b"\x02\0\0\0\0\1", VIP)
    assert frame[:6] == b"\xff" * 6
    assert frame[28:32] == bytes(4)
    assert frame[38:42] == socket.inet_aton(VIP)


def test_an_announcement_is_everybodys_and_names_the_address_twice() -> None:
    """A gratuitous ARP: who has an entry for the address takes this MAC for it."""
    mac = b"\x02\0\0\0\0\1"
    frame = arp_frames.announcement(mac, VIP)
    assert frame[:12] == b"\xff" * 6 + mac
    assert frame[22:32] == mac + socket.inet_aton(VIP)
    assert frame[38:42] == socket.inet_aton(VIP)


def test_an_answer_tells_address_and_mac() -> None:
    """Of a reply, with or without the padding of a short frame."""
    assert arp_frames.answer(reply(VIP, R1)) == (VIP, R1)
    assert arp_frames.answer(reply(VIP, R1) + bytes(18)) == (VIP, R1)


@pytest.mark.parametrize(
    "frame",
    [b"", b"\0" * 20, reply(VIP, R1)[:-1], reply(VIP, R1, operation=1), reply(VIP, R1, ethertype=0x0800), b"\xff" * 60],
)
def test_other_frames_and_stumps_are_no_answers(frame: bytes) -> None:
    """Requests, other protocols, bytes that are cut short."""
    assert arp_frames.answer(frame) is None
