"""Asks the kernel which features an interface has on, as `ethtool -k` does. Judges nothing."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from contextlib import closing
from typing import Final

_SIOCETHTOOL: Final = 0x8946
_GSSET_INFO, _GSTRINGS, _GFEATURES = 0x37, 0x1B, 0x3A
_FEATURES: Final = 4  # ETH_SS_FEATURES
_NAME: Final = 32


def features(interface: str) -> dict[str, bool]:
    """Return every feature's name and whether it is on. Raises `OSError` (a device without ethtool: EOPNOTSUPP)."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        answer = _ask(opened, interface, struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _FEATURES, 0))
        count = int(struct.unpack_from("=I", answer, 16)[0])
        raw = _ask(opened, interface, struct.pack("=III", _GSTRINGS, _FEATURES, count) + bytes(_NAME * count))
        names = [raw[12 + _NAME * n : 12 + _NAME * (n + 1)].split(b"\0")[0].decode() for n in range(count)]
        blocks = (count + 31) // 32
        state = _ask(opened, interface, struct.pack("=II", _GFEATURES, blocks) + bytes(16 * blocks))
    return decode(names, state)


def decode(names: list[str], state: bytes) -> dict[str, bool]:
    """Read the answer to GFEATURES: blocks of 32 features, each with the words available, requested, active, fixed."""
    active = [struct.unpack_from("=I", state, 8 + 16 * (n // 32) + 8)[0] >> n % 32 & 1 for n in range(len(names))]
    return {name: bool(bit) for name, bit in zip(names, active, strict=True) if name}


def _ask(opened: socket.socket, interface: str, request: bytes) -> bytes:
    data = array.array("B", request)
    address, _ = data.buffer_info()
    fcntl.ioctl(opened, _SIOCETHTOOL, struct.pack("=16sQ16x", interface.encode(), address))
    return data.tobytes()
