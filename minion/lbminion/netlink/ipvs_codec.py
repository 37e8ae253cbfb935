"""The kernel's IPVS messages <-> lbstates' Service and Destination, with their statistics. Pure.

Every quirk of the kernel's interface is handled here and nowhere else: the port is in network byte order among native
numbers, an IPv4 address lies in 16 bytes, the netmask of an IPv6 service is a prefix length, the kernel sets a flag of
its own (HASHED), some kernels put PAD attributes before 64-bit numbers, and a `set` resets what it does not name, so
that requests always name everything.

The place for more of IPVS: an entry that lbstates cannot express yet (firewall marks, SCTP, persistence, scheduler
flags, thresholds, GUE and GRE tunnels) reads as `Foreign`. To support one, let lbstates express it, write it in
`_specification` or `destination_request`, and take its line out of `_service_oddity` or `_destination_oddity`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import Final, Literal, cast

import msgspec

from lbminion.errors import BadKernelMessage
from lbstates.kinds.destination import Destination, Forwarding, Tunnel
from lbstates.kinds.service import Protocol, Service, endpoint, service_identity

from .ipvs_statistics import DestinationStatistics, ServiceStatistics, traffic
from .message import attribute, attributes

FAMILY_NAME: Final = "IPVS"
Verb = Literal["add", "set", "remove"]

_NEW_SERVICE, _SET_SERVICE, _DEL_SERVICE, _GET_SERVICE = 1, 2, 3, 4
_NEW_DEST, _SET_DEST, _DEL_DEST, _GET_DEST = 5, 6, 7, 8
_GET_INFO: Final = 15
_SERVICE_COMMANDS: Final = {"add": _NEW_SERVICE, "set": _SET_SERVICE, "remove": _DEL_SERVICE}
_DESTINATION_COMMANDS: Final = {"add": _NEW_DEST, "set": _SET_DEST, "remove": _DEL_DEST}

_CMD_SERVICE, _CMD_DEST = 1, 2
_SVC_AF, _SVC_PROTOCOL, _SVC_ADDR, _SVC_PORT, _SVC_FWMARK, _SVC_SCHEDULER = 1, 2, 3, 4, 5, 6
_SVC_FLAGS, _SVC_TIMEOUT, _SVC_NETMASK, _SVC_STATS, _SVC_PE_NAME, _SVC_STATS64 = 7, 8, 9, 10, 11, 12
_DEST_ADDR, _DEST_PORT, _DEST_FORWARDING, _DEST_WEIGHT, _DEST_U_THRESH, _DEST_L_THRESH = 1, 2, 3, 4, 5, 6
_DEST_ACTIVE, _DEST_INACTIVE, _DEST_STATS, _DEST_AF, _DEST_STATS64, _DEST_TUN_TYPE = 7, 8, 10, 11, 12, 13

_U8, _U16, _U32 = Struct("=B"), Struct("=H"), Struct("=I")
_BE16: Final = Struct(">H")
_FLAGS: Final = Struct("=II")  # flags, and a mask of those that are meant
_GENERIC_HEADER: Final = Struct("=BBH")  # command, version, reserved

_PERSISTENT, _HASHED, _ONE_PACKET = 0x1, 0x2, 0x4
_ALL: Final = 0xFFFFFFFF
_NETMASK: Final = {socket.AF_INET: _ALL, socket.AF_INET6: 128}  # of one client: an IPv4 mask, an IPv6 prefix length
_ADDRESS_BYTES: Final[Mapping[int, int]] = {socket.AF_INET: 4, socket.AF_INET6: 16}
_PROTOCOLS: Final[Mapping[Protocol, int]] = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_PROTOCOL_OF: Final = {number: name for name, number in _PROTOCOLS.items()}
_FORWARDINGS: Final[Mapping[Forwarding, int]] = {"masquerade": 0, "tunnel": 2, "direct": 3}
_FORWARDING_OF: Final = {number: name for name, number in _FORWARDINGS.items()}
_SCHEDULER: Final = re.compile("[a-z0-9_]{1,15}")
_OTHER_FORWARDING: Final = {1: "local", 4: "bypass"}


class Foreign(msgspec.Struct, frozen=True):
    """An entry of the table that lbstates cannot express (`reason` says why): to be reported, never half understood.

    The identity is that of an ordinary entry where it has one, so a `set` of that identity makes it ordinary.
    """

    kind: Literal["service", "destination"]
    identity: str
    reason: str


class ServiceKey(msgspec.Struct, frozen=True):
    """What the kernel finds a tcp or udp service by."""

    protocol: Protocol
    address: str
    port: int

    @property
    def identity(self) -> str:
        return service_identity(self.protocol, self.address, self.port)


def info_request() -> bytes:
    """Ask for the version: the cheapest question that wants the same rights as all others."""
    return _GENERIC_HEADER.pack(_GET_INFO, 1, 0)


def services_request() -> bytes:
    """Ask (by a dump) for all services."""
    return _GENERIC_HEADER.pack(_GET_SERVICE, 1, 0)


def destinations_request(key: ServiceKey) -> bytes:
    """Ask (by a dump) for the destinations of a service; the kernel answers with none if there is no such service."""
    return _GENERIC_HEADER.pack(_GET_DEST, 1, 0) + attribute(_CMD_SERVICE, _key(key.protocol, key.address, key.port))


def service_request(verb: Verb, service: Service) -> bytes:
    """Write the change of a service. Raises `ValueError` for what the kernel's message cannot hold."""
    body = _key(cast("Protocol", service.protocol), service.address, service.port)
    if verb != "remove":
        body += _specification(service)
    return _GENERIC_HEADER.pack(_SERVICE_COMMANDS[verb], 1, 0) + attribute(_CMD_SERVICE, body)


def destination_request(verb: Verb, destination: Destination) -> bytes:
    """Write the change of a destination. Raises `ValueError` for what the kernel's message cannot hold."""
    family, address = _address(destination.address)
    body = (
        attribute(_DEST_ADDR, address)
        + attribute(_DEST_PORT, _number(_BE16, destination.port, "port"))
        + attribute(_DEST_AF, _U16.pack(family))
    )
    if verb != "remove":
        if destination.forwarding not in _FORWARDINGS:
            raise ValueError(f"forwarding method {destination.forwarding!r} is not known")
        body += (
            attribute(_DEST_FORWARDING, _U32.pack(_FORWARDINGS[destination.forwarding]))
            + attribute(_DEST_WEIGHT, _number(_U32, destination.weight, "weight"))
            + attribute(_DEST_U_THRESH, _U32.pack(0))
            + attribute(_DEST_L_THRESH, _U32.pack(0))
        )
    key = _service_key(destination.service)
    header = _GENERIC_HEADER.pack(_DESTINATION_COMMANDS[verb], 1, 0)
    return header + attribute(_CMD_SERVICE, key) + attribute(_CMD_DEST, body)


def decode_service(payload: bytes) -> tuple[ServiceKey | None, Service | Foreign, ServiceStatistics]:
    """Read one entry of a dump of services; the key is None if its destinations cannot be asked for.

    Raises `BadKernelMessage`.
    """
    found = _entry(payload, _CMD_SERVICE)
    family = _unpack(_U16, found, _SVC_AF)
    key: ServiceKey | None = None
    if _SVC_FWMARK in found:
        identity = f"fwmark {_unpack(_U32, found, _SVC_FWMARK)}{' IPv6' if family == socket.AF_INET6 else ''}"
    else:
        number = _unpack(_U16, found, _SVC_PROTOCOL)
        address, port = _text(family, found, _SVC_ADDR), _unpack(_BE16, found, _SVC_PORT)
        if protocol := _PROTOCOL_OF.get(number):
            key = ServiceKey(protocol, address, port)
            identity = key.identity
        else:
            identity = service_identity(
                "sctp" if number == socket.IPPROTO_SCTP else f"protocol {number}", address, port
            )
    statistics = ServiceStatistics(*traffic(found.get(_SVC_STATS, b""), found.get(_SVC_STATS64)))
    oddity = _service_oddity(found)
    if key is None or oddity:
        return key, Foreign("service", identity, oddity or "neither tcp nor udp"), statistics
    return key, Service(key.protocol, key.address, key.port, _string(found, _SVC_SCHEDULER)), statistics


def decode_destination(payload: bytes, key: ServiceKey) -> tuple[Destination | Foreign, DestinationStatistics]:
    """Read one entry of a dump of the destinations of the service `key`. Raises `BadKernelMessage`."""
    found = _entry(payload, _CMD_DEST)
    family = _unpack(_U16, found, _DEST_AF) if _DEST_AF in found else _address(key.address)[0]
    address, port = _text(family, found, _DEST_ADDR), _unpack(_BE16, found, _DEST_PORT)
    active, inactive = _unpack(_U32, found, _DEST_ACTIVE), _unpack(_U32, found, _DEST_INACTIVE)
    totals = traffic(found.get(_DEST_STATS, b""), found.get(_DEST_STATS64))
    statistics = DestinationStatistics(*totals, active, inactive)
    method = _unpack(_U32, found, _DEST_FORWARDING)
    forwarding = _FORWARDING_OF.get(method)
    oddity = _destination_oddity(found)
    if forwarding is None or oddity:
        reason = oddity or f"forwarding method {_OTHER_FORWARDING.get(method, method)}"
        return Foreign("destination", f"{key.identity} -> {endpoint(address, port)}", reason), statistics
    weight = _unpack(_U32, found, _DEST_WEIGHT)
    tunnel = Tunnel() if forwarding == "tunnel" else None
    return Destination(key.identity, address, port, forwarding, weight, tunnel=tunnel), statistics


def _service_oddity(found: Mapping[int, bytes]) -> str:
    """Say what lbstates cannot express about a service, or nothing."""
    if _SVC_FWMARK in found:
        return "a firewall mark"
    if len(found.get(_SVC_FLAGS, b"")) != _FLAGS.size:
        raise BadKernelMessage("an IPVS service without flags")
    flags = _FLAGS.unpack(found[_SVC_FLAGS])[0] & ~_HASHED
    if flags & _PERSISTENT:
        return f"persistent {_unpack(_U32, found, _SVC_TIMEOUT)} s"
    if flags & _ONE_PACKET:
        return "one-packet scheduling"
    if flags:
        return f"scheduler flags 0x{flags:x}"
    return "a persistence engine" if _SVC_PE_NAME in found else ""


def _destination_oddity(found: Mapping[int, bytes]) -> str:
    """Say what lbstates cannot express about a destination, or nothing."""
    upper, lower = _unpack(_U32, found, _DEST_U_THRESH), _unpack(_U32, found, _DEST_L_THRESH)
    if upper or lower:
        return f"connection thresholds {lower} to {upper}"
    if _DEST_TUN_TYPE in found and (tunnel := _unpack(_U8, found, _DEST_TUN_TYPE)):
        return f"tunnel type {tunnel}"
    return ""


def _specification(service: Service) -> bytes:
    family, _ = _address(service.address)
    if not _SCHEDULER.fullmatch(service.scheduler):
        raise ValueError(f"{service.scheduler!r} is no name of a scheduler")
    return (
        attribute(_SVC_SCHEDULER, service.scheduler.encode() + b"\0")
        + attribute(_SVC_FLAGS, _FLAGS.pack(0, _ALL))
        + attribute(_SVC_TIMEOUT, _U32.pack(0))
        + attribute(_SVC_NETMASK, _U32.pack(_NETMASK[family]))
    )


def _key(protocol: Protocol, address: str, port: int) -> bytes:
    if protocol not in _PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is neither tcp nor udp")
    family, packed = _address(address)
    return (
        attribute(_SVC_AF, _U16.pack(family))
        + attribute(_SVC_PROTOCOL, _U16.pack(_PROTOCOLS[protocol]))
        + attribute(_SVC_ADDR, packed)
        + attribute(_SVC_PORT, _number(_BE16, port, "port"))
    )


@lru_cache(maxsize=4096)
def _service_key(identity: str) -> bytes:
    """Write the key of the service of this identity ("tcp 10.0.0.1:80")."""
    protocol, _, rest = identity.partition(" ")
    address, _, port = rest.rpartition(":")
    if not port.isdecimal():
        raise ValueError(f"{identity!r} names no virtual service")
    return _key(cast("Protocol", protocol), address.strip("[]"), int(port))


def _address(text: str) -> tuple[socket.AddressFamily, bytes]:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return family, socket.inet_pton(family, text).ljust(16, b"\0")
    except (OSError, ValueError):
        raise ValueError(f"{text!r} is no IP address") from None


def _number(layout: Struct, value: int, name: str) -> bytes:
    if not 0 <= value < 1 << 8 * layout.size:
        raise ValueError(f"{name} {value} is out of range")
    return layout.pack(value)


def _entry(payload: bytes, kind: int) -> dict[int, bytes]:
    nested = attributes(payload, _GENERIC_HEADER.size).get(kind)
    if nested is None:
        raise BadKernelMessage(f"an IPVS message without attribute {kind}")
    return attributes(nested)


def _unpack(layout: Struct, found: Mapping[int, bytes], kind: int) -> int:
    value = found.get(kind, b"")
    if len(value) != layout.size:
        raise BadKernelMessage(f"IPVS attribute {kind} has {len(value)} bytes instead of {layout.size}")
    return int(layout.unpack(value)[0])


def _string(found: Mapping[int, bytes], kind: int) -> str:
    return found.get(kind, b"").rstrip(b"\0").decode("ascii", "replace")


def _text(family: int, found: Mapping[int, bytes], kind: int) -> str:
    size = _ADDRESS_BYTES.get(family)
    packed = found.get(kind, b"")
    if size is None or len(packed) < size:
        raise BadKernelMessage(f"an IPVS address of family {family} with {len(packed)} bytes")
    return socket.inet_ntop(family, packed[:size])
