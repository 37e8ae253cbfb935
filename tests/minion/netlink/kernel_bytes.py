"""Messages as the kernel writes them, put together by hand, for the tests of the codecs."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from lbminion.netlink.message import attribute

GENERIC_HEADER = struct.pack("=BBH", 1, 1, 0)
PAD = attribute(11, b"")


def attributes_of(fields: Mapping[int, bytes]) -> bytes:
    """One attribute after the other."""
    return b"".join(attribute(kind, value) for kind, value in fields.items())


def stats(numbers: Sequence[int] = range(1, 11)) -> bytes:
    """The attribute STATS: 32 bits but for the bytes."""
    layouts = "IIIQQIIIII"
    fields = zip(range(1, 11), layouts, numbers, strict=True)
    return attributes_of({kind: struct.pack(f"={layout}", number) for kind, layout, number in fields})


def stats64(numbers: Sequence[int] = range(1, 11), *, padded: bool = False) -> bytes:
    """The attribute STATS64, on some architectures with a PAD before each number."""
    between = PAD if padded else b""
    return b"".join(between + attribute(kind, struct.pack("=Q", n)) for kind, n in enumerate(numbers, start=1))


def service_fields(**more: bytes) -> dict[int, bytes]:
    """The attributes of "tcp 172.28.128.200:80", rr, as the kernel dumps them; `more` is a10=b"..." and so on."""
    fields = {
        1: struct.pack("=H", 2),
        2: struct.pack("=H", 6),
        3: bytes([172, 28, 128, 200]).ljust(16, b"\0"),
        4: struct.pack(">H", 80),
        6: b"rr\0",
        7: struct.pack("=II", 0x2, 0xFFFFFFFF),
        8: struct.pack("=I", 0),
        9: struct.pack("=I", 0xFFFFFFFF),
        10: stats(),
        12: stats64(),
    }
    return fields | {int(name[1:]): value for name, value in more.items()}


def destination_fields(**more: bytes) -> dict[int, bytes]:
    """The attributes of 172.28.128.10:80, direct, weight 3, with 5 active and 7 inactive connections."""
    fields = {
        1: bytes([172, 28, 128, 10]).ljust(16, b"\0"),
        2: struct.pack(">H", 80),
        3: struct.pack("=I", 3),
        4: struct.pack("=I", 3),
        5: struct.pack("=I", 0),
        6: struct.pack("=I", 0),
        7: struct.pack("=I", 5),
        8: struct.pack("=I", 7),
        9: struct.pack("=I", 0),
        10: stats(),
        11: struct.pack("=H", 2),
        12: stats64(),
        13: b"\0",
    }
    return fields | {int(name[1:]): value for name, value in more.items()}


def entry(kind: int, fields: Mapping[int, bytes]) -> bytes:
    """The content of one message of a dump: a service (kind 1) or a destination (kind 2)."""
    return GENERIC_HEADER + attribute(kind | 0x8000, attributes_of(fields))
