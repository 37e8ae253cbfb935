"""The framing that every netlink family shares: messages, attributes, errors. Pure: bytes to values and back.

What the attributes of a family mean is for its codec to say. Raises `BadKernelMessage` for bytes that are cut short.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from lbminion.errors import BadKernelMessage

REQUEST: Final = 0x001
ACK: Final = 0x004
DUMP: Final = 0x300
DUMP_INTERRUPTED: Final = 0x010
_CAPPED: Final = 0x100
_ACK_TLVS: Final = 0x200

ERROR: Final = 2
DONE: Final = 3

_HEADER: Final = Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE: Final = Struct("=HH")  # length, type
_ERRNO: Final = Struct("=i")
_TYPE_MASK: Final = 0x3FFF  # above it: "nested" and "network byte order", which nobody sets reliably
_ERROR_MESSAGE: Final = 1
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")


class Message(NamedTuple):
    """One netlink message: its type, its flags, the sequence number of the request that it answers, its content."""

    type: int
    flags: int
    sequence: int
    payload: bytes


class Refusal(NamedTuple):
    """What an error message says; `errno` 0 is an acknowledgement. `text` is often empty."""

    errno: int
    text: str


def frame(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """Write a message as it travels to the kernel, padded so that another may follow."""
    length = _HEADER.size + len(payload)
    return _HEADER.pack(length, kind, flags, sequence, 0) + payload + _PADDING[length & 3]


def places(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Find the messages of one datagram: type, flags, sequence number, and where the content begins and ends."""
    offset, total = 0, len(data)
    while offset < total:
        if total - offset < _HEADER.size:
            raise BadKernelMessage(f"{total - offset} bytes left where a netlink header takes {_HEADER.size}")
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if not _HEADER.size <= length <= total - offset:
            raise BadKernelMessage(f"a netlink message says {length} bytes of the {total - offset} that are there")
        yield kind, flags, sequence, offset + _HEADER.size, offset + length
        offset += length + 3 & ~3


def split(data: bytes) -> Iterator[Message]:
    """Read the messages of one datagram."""
    for kind, flags, sequence, start, end in places(data):
        yield Message(kind, flags, sequence, data[start:end])


def spans(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Find the attributes between two places: type, and where the content begins and ends."""
    offset = start
    while offset < end:
        if end - offset < _ATTRIBUTE.size:
            raise BadKernelMessage(f"{end - offset} bytes left where an attribute takes {_ATTRIBUTE.size}")
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if not _ATTRIBUTE.size <= length <= end - offset:
            raise BadKernelMessage(f"attribute {kind} says {length} bytes of the {end - offset} that are there")
        yield kind & _TYPE_MASK, offset + _ATTRIBUTE.size, offset + length
        offset += length + 3 & ~3


def attribute(kind: int, payload: bytes) -> bytes:
    """Write one attribute; a nested one is an attribute whose payload is attributes."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + _PADDING[length & 3]


def attributes(data: bytes, start: int = 0) -> dict[int, bytes]:
    """Read the attributes from `start` on: type -> payload (of a repeated type the last)."""
    return {kind: data[begin:end] for kind, begin, end in spans(data, start, len(data))}


def refusal(message: Message) -> Refusal:
    """Read an ERROR or DONE message: the errno (0 is success) and the kernel's own words, if it sent any."""
    if not message.payload and message.type == DONE:
        return Refusal(0, "")
    if len(message.payload) < _ERRNO.size:
        raise BadKernelMessage(f"an error message of {len(message.payload)} bytes")
    (code,) = _ERRNO.unpack_from(message.payload)
    text = b""
    if message.type == ERROR and message.flags & _CAPPED and message.flags & _ACK_TLVS:
        text = attributes(message.payload, _ERRNO.size + _HEADER.size).get(_ERROR_MESSAGE, b"")
    return Refusal(-min(code, 0), text.rstrip(b"\0").decode("ascii", "replace"))
