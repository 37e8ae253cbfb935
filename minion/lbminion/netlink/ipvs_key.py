"""By what the kernel finds a virtual service: the identity of a Service <-> the attributes of its key. Pure.

The port is in network byte order among native numbers, and an IPv4 address lies in 16 bytes. A firewall mark has a
family, since the kernel keeps a table of each, and no protocol, address or port.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Final

from lbminion.errors import BadKernelMessage
from lbstates.kinds.service import Protocol, endpoint

from .ipvs_wire import ADDRESS_BYTES, ATTRIBUTE, BE16, SVC_ADDR, SVC_AF, SVC_FWMARK, SVC_PORT, SVC_PROTOCOL, U16, U32
from .ipvs_wire import number as written
from .message import attribute

_CACHED: Final = 1 << 13
"""Services: each is named by all of its destinations. (Their addresses are cheaper to write than to look up.)"""
_PROTOCOLS: Final[dict[Protocol, int]] = {
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
    "sctp": socket.IPPROTO_SCTP,
}
PROTOCOL_OF: Final = {number: name for name, number in _PROTOCOLS.items()}
_PROTOCOL_NUMBERS: Final[dict[str, int]] = {str(name): number for name, number in _PROTOCOLS.items()}


@lru_cache(_CACHED)
def key(identity: str) -> bytes:
    """Write the attributes of a service's key. Raises `ValueError` for what is no identity of a Service."""
    head, _, rest = identity.partition(" ")
    if head == "fwmark":
        return _mark_key(identity, rest)
    if head not in _PROTOCOL_NUMBERS:
        raise ValueError(f"protocol {head!r} is none of {', '.join(_PROTOCOLS)}")
    text, _, port = rest.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    family, packed = address_bytes(text)
    if not port.isdecimal():
        raise ValueError(f"{identity!r} names no port")
    return (
        attribute(SVC_AF, U16.pack(family))
        + attribute(SVC_PROTOCOL, U16.pack(_PROTOCOL_NUMBERS[head]))
        + attribute(SVC_ADDR, packed)
        + attribute(SVC_PORT, written(BE16, int(port), "port"))
    )


def _mark_key(identity: str, rest: str) -> bytes:
    mark, _, family = rest.partition(" ")
    if not mark.isdecimal() or family not in {"", "IPv6"}:
        raise ValueError(f"{identity!r} is no firewall mark")
    number = written(U32, int(mark), "mark")
    return attribute(SVC_AF, U16.pack(socket.AF_INET6 if family else socket.AF_INET)) + attribute(SVC_FWMARK, number)


def can_be_asked_for(identity: str) -> bool:
    """Tell whether `key` knows how to ask for the service of this identity; for a protocol unknown to us it does not."""
    return not identity.startswith(UNKNOWN_PROTOCOL)


UNKNOWN_PROTOCOL: Final = "protocol "
"""How the identity of a service begins whose protocol has no name here."""


@lru_cache(_CACHED)
def family_of_key(identity: str) -> int:
    """Tell the address family of a service's clients."""
    return U16.unpack_from(key(identity), ATTRIBUTE.size)[0]  # type: ignore[no-any-return]


def address_bytes(text: str) -> tuple[int, bytes]:
    """Write an address: its family, and the 16 bytes. Raises `ValueError`."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return family, socket.inet_pton(family, text).ljust(16, b"\0")
    except (OSError, ValueError):
        raise ValueError(f"{text!r} is no IP address") from None


def address_text(family: int, packed: bytes) -> str:
    """Read an address of 16 bytes. Raises `BadKernelMessage` for a family that IPVS does not have."""
    size = ADDRESS_BYTES.get(family)
    if size is None:
        raise BadKernelMessage(f"an IPVS address of family {family}")
    return socket.inet_ntop(family, packed[:size])


def endpoint_text(family: int, packed: bytes, port: bytes) -> str:
    """Read an address and a port as one word. Raises `BadKernelMessage`."""
    return endpoint(address_text(family, packed), BE16.unpack(port)[0])
