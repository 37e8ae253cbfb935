"""The kernel's messages about addresses and interfaces <-> values. Pure; does no I/O.

Attributes used: IFA_ADDRESS (the peer on a point-to-point link), IFA_LOCAL (the host's own), IFA_LABEL, IFLA_IFNAME.
"""

from __future__ import annotations

import ipaddress
import socket
from struct import Struct
from typing import Final, NamedTuple

from lbminion.errors import BadKernelMessage

from .message import attribute, attributes

NEW_LINK: Final = 16
DEL_LINK: Final = 17
NEW_ADDRESS: Final = 20
DEL_ADDRESS: Final = 21
GET_ADDRESS: Final = 22
GROUPS: Final = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses

_ADDRESS_HEADER: Final = Struct("=BBBBI")  # family, prefix length, flags, scope, interface index
_LINK_HEADER: Final = Struct("=BxHiII")  # family, type, interface index, flags, change mask
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL = 1, 2, 3
_IFLA_IFNAME: Final = 3
_NODAD: Final = 0x02
_ADDRESS_BYTES: Final = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}


class InterfaceAddress(NamedTuple):
    """The index of an interface, and an address on it ("10.0.0.1/24", always with its prefix length)."""

    interface: int
    address: str


class Interface(NamedTuple):
    """An interface's index and its present name."""

    number: int
    name: str


def dump_request() -> bytes:
    """Ask (by a dump of GET_ADDRESS) for the addresses of both families on all interfaces."""
    return _ADDRESS_HEADER.pack(socket.AF_UNSPEC, 0, 0, 0, 0)


def change_request(address: str, index: int, label: str = "") -> bytes:
    """Write the content of NEW_ADDRESS and DEL_ADDRESS; a label is for IPv4 only (IPv6 has none, and it is left out).

    Raises `ValueError` for what is no address with prefix length. An IPv6 address is added without duplicate address
    detection: other hosts of the cluster hold the same VIP, and the second that it takes would be an outage.
    """
    parsed = ipaddress.ip_interface(address)
    packed = parsed.ip.packed
    prefix = parsed.network.prefixlen
    if isinstance(parsed, ipaddress.IPv6Interface):
        return _ADDRESS_HEADER.pack(socket.AF_INET6, prefix, _NODAD, 0, index) + attribute(_IFA_LOCAL, packed)
    body = attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    if label:
        body += attribute(_IFA_LABEL, label.encode() + b"\0")
    return _ADDRESS_HEADER.pack(socket.AF_INET, prefix, 0, 0, index) + body


def decode_address(payload: bytes) -> InterfaceAddress | None:
    """Read what NEW_ADDRESS and DEL_ADDRESS say (None: an address of another family). Raises `BadKernelMessage`."""
    if len(payload) < _ADDRESS_HEADER.size:
        raise BadKernelMessage(f"an address message of {len(payload)} bytes")
    family, prefix, _, _, index = _ADDRESS_HEADER.unpack_from(payload)
    size = _ADDRESS_BYTES.get(family)
    if size is None:
        return None
    found = attributes(payload, _ADDRESS_HEADER.size)
    packed = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b""))
    if len(packed) != size:
        raise BadKernelMessage(f"an address of family {family} with {len(packed)} bytes")
    return InterfaceAddress(index, f"{socket.inet_ntop(family, packed)}/{prefix}")


def decode_interface(payload: bytes) -> Interface | None:
    """Read what NEW_LINK and DEL_LINK say (None: a message without a name). Raises `BadKernelMessage`."""
    if len(payload) < _LINK_HEADER.size:
        raise BadKernelMessage(f"an interface message of {len(payload)} bytes")
    index = _LINK_HEADER.unpack_from(payload)[2]
    name = attributes(payload, _LINK_HEADER.size).get(_IFLA_IFNAME)
    return None if name is None else Interface(index, name.rstrip(b"\0").decode("utf-8", "surrogateescape"))
