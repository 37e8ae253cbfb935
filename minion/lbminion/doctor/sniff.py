"""Listens for VRRP advertisements of others on one interface, for a while. Judges nothing."""

from __future__ import annotations

import ctypes
import select
import socket
import time
from contextlib import closing
from struct import pack
from typing import Final

from .adverts import Advert, parse

_ETH_P_ALL, _ETH_P_IP, _ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_SOL_PACKET, _ADD_MEMBERSHIP, _MEMBERSHIP_MULTICAST = 263, 1, 0
_SO_ATTACH_FILTER: Final = 26
_OUTGOING: Final = 4
_GROUPS: Final = (bytes.fromhex("01005e000012"), bytes.fromhex("333300000012"))
# Classic BPF on the packet from its IP header on: the version, then the protocol (112) in its place, else nothing.
_FILTER: Final = (
    (0x30, 0, 0, 0), (0x74, 0, 0, 4), (0x15, 0, 2, 4),
    (0x30, 0, 0, 9), (0x15, 3, 4, 112),
    (0x15, 0, 3, 6), (0x30, 0, 0, 6), (0x15, 0, 1, 112),
    (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0),
)  # fmt: skip


def listen(interface: str, seconds: float) -> list[Advert]:
    """Return the advertisements that arrive on the interface within `seconds`, our own left out.

    Needs CAP_NET_RAW; takes part in the multicast groups at the level of the interface, so that its filter lets them in.
    Raises `OSError`.
    """
    heard: list[Advert] = []
    with closing(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)) as opened:
        _attach(opened)
        opened.bind((interface, _ETH_P_ALL))
        index = socket.if_nametoindex(interface)
        for group in _GROUPS:
            membership = pack("iHH8s", index, _MEMBERSHIP_MULTICAST, len(group), group)
            opened.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([opened], [], [], left)[0]:
                packet, (_, protocol, kind, *_) = opened.recvfrom(2048)
                advert = parse(packet) if kind != _OUTGOING and protocol in (_ETH_P_IP, _ETH_P_IPV6) else None
                if advert is not None:
                    heard.append(advert)
    return heard


def _attach(opened: socket.socket) -> None:
    """Let the kernel pass VRRP only: a busy director has a million other packets a second."""
    program = ctypes.create_string_buffer(b"".join(pack("HBBI", *line) for line in _FILTER))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pack("HP", len(_FILTER), ctypes.addressof(program)))
