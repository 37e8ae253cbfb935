"""ARP frames, as RFC 5227 has them: a probe, an announcement, and the answer to a probe. Pure."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final

_ETHERNET: Final = Struct("!6s6sH")
_ARP: Final = Struct("!HHBBH6s4s6s4s")
_ETHERTYPE: Final = 0x0806
_REQUEST, _REPLY = 1, 2
_HARDWARE, _IPV4 = 1, 0x0800
_NOBODY: Final = bytes(6)
_EVERYBODY: Final = b"\xff" * 6


def probe(mac: bytes, address: str) -> bytes:
    """Write the frame that asks who has an IPv4 address; `mac` (6 bytes) is that of the sending interface.

    Its sender's address is 0.0.0.0, so nobody learns anything from it.
    """
    return _request(mac, bytes(4), address)


def announcement(mac: bytes, address: str) -> bytes:
    """Write the frame by which all who know an IPv4 address learn that this interface has it (a gratuitous ARP)."""
    return _request(mac, socket.inet_aton(address), address)


def _request(mac: bytes, sender: bytes, address: str) -> bytes:
    return _ETHERNET.pack(_EVERYBODY, mac, _ETHERTYPE) + _ARP.pack(
        _HARDWARE, _IPV4, 6, 4, _REQUEST, mac, sender, _NOBODY, socket.inet_aton(address)
    )


def answer(frame: bytes) -> tuple[str, str] | None:
    """Read (address, MAC) of an ARP reply; None for any other frame, also one that is cut short."""
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    _, _, ethertype = _ETHERNET.unpack_from(frame)
    hardware, protocol, mac_size, size, operation, mac, address, _, _ = _ARP.unpack_from(frame, _ETHERNET.size)
    if (ethertype, hardware, protocol, mac_size, size, operation) != (_ETHERTYPE, _HARDWARE, _IPV4, 6, 4, _REPLY):
        return None
    return socket.inet_ntoa(address), mac.hex(":")
