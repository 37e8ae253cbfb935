"""The kernel's messages about virtual services <-> lbstates' Service. Pure.

The kernel's quirks: a `set` resets what it does not name, so that requests always name everything (but a persistence
engine, which is taken away by not being named); the kernel sets a flag of its own (HASHED); the netmask of an IPv6
service is a prefix length in native byte order, that of an IPv4 service a mask in network byte order, and it means
nothing without persistence; scheduler flags are three bits that each scheduler calls by names of its own.
"""

from __future__ import annotations

import re
import socket
from struct import Struct
from typing import Final, Literal, NamedTuple

import msgspec

from lbminion.errors import BadKernelMessage
from lbstates.kinds.service import CLIENT_PREFIX, Persistence, Service, mark_identity, service_identity
from lbstates.words import flags_of

from . import ipvs_wire as wire
from .ipvs_key import PROTOCOL_OF, UNKNOWN_PROTOCOL, address_text, family_of_key, key
from .ipvs_layout import TEXT, Shape, Values
from .ipvs_wire import BE16, U32
from .message import attribute

Verb = Literal["add", "set", "remove"]

_COMMANDS: Final = {"add": wire.NEW_SERVICE, "set": wire.SET_SERVICE, "remove": wire.DEL_SERVICE}
_FLAGS: Final = Struct("=II")  # flags, and a mask of those that are meant
_NETMASK: Final[dict[int, Struct]] = {socket.AF_INET: Struct(">I"), socket.AF_INET6: Struct("=I")}
_ALL: Final = 0xFFFFFFFF
_PERSISTENT, _HASHED, _ONE_PACKET = 0x1, 0x2, 0x4
_SCHEDULER_FLAGS: Final = (0x08, 0x10, 0x20)
_WORD: Final = re.compile("[a-z0-9_]{1,15}")

SHAPE: Final = Shape(
    outer=wire.CMD_SERVICE,
    formats={
        wire.SVC_AF: "H",
        wire.SVC_PROTOCOL: "H",
        wire.SVC_ADDR: "16s",
        wire.SVC_PORT: "2s",
        wire.SVC_FWMARK: "I",
        wire.SVC_SCHEDULER: TEXT,
        wire.SVC_FLAGS: "8s",
        wire.SVC_TIMEOUT: "I",
        wire.SVC_NETMASK: "4s",
        wire.SVC_PE_NAME: TEXT,
    },
    specification=(
        wire.SVC_AF, wire.SVC_PROTOCOL, wire.SVC_ADDR, wire.SVC_PORT, wire.SVC_FWMARK, wire.SVC_SCHEDULER,
        wire.SVC_FLAGS, wire.SVC_TIMEOUT, wire.SVC_NETMASK, wire.SVC_PE_NAME,
    ),
    counts=(),
    # A service by mark has no protocol, address and port, the others have no mark.
    defaults={
        wire.SVC_PROTOCOL: 0, wire.SVC_ADDR: None, wire.SVC_PORT: None, wire.SVC_FWMARK: 0, wire.SVC_PE_NAME: b"",
    },
    narrow=wire.SVC_STATS,
    wide=wire.SVC_STATS64,
)  # fmt: skip
"""What is read of a service."""


class Foreign(msgspec.Struct, frozen=True):
    """An entry of the table that lbstates cannot express (`reason` says why): to be reported, never half understood.

    The identity is that of an ordinary entry where it has one, so a `set` of that identity makes it ordinary.
    """

    kind: Literal["service", "destination"]
    identity: str
    reason: str


def services_request() -> bytes:
    """Ask (by a dump) for all services."""
    return wire.header(wire.GET_SERVICE)


def service_request(verb: Verb, service: Service) -> bytes:
    """Write the change of a service. Raises `ValueError` for what the kernel's message cannot hold."""
    body = key(service.identity)
    if verb != "remove":
        body += _specification(service)
    return wire.header(_COMMANDS[verb]) + attribute(wire.CMD_SERVICE, body)


def _specification(service: Service) -> bytes:
    flags = _scheduler_flags(service)
    timeout, netmask, engine = 0, CLIENT_PREFIX[service.family], ""
    if service.persistence is not None:
        flags |= _PERSISTENT
        timeout, netmask = service.persistence.timeout, service.persistence.netmask
        engine = service.persistence.engine or ""
    if service.one_packet:
        flags |= _ONE_PACKET
    body = (
        attribute(wire.SVC_SCHEDULER, _word(service.scheduler, "scheduler"))
        + attribute(wire.SVC_FLAGS, _FLAGS.pack(flags, _ALL))
        + attribute(wire.SVC_TIMEOUT, wire.number(U32, timeout, "timeout"))
        + attribute(wire.SVC_NETMASK, _packed_netmask(family_of_key(service.identity), netmask))
    )
    return body + attribute(wire.SVC_PE_NAME, _word(engine, "persistence engine")) if engine else body


def _word(name: str, what: str) -> bytes:
    if not _WORD.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a {what}")
    return name.encode() + b"\0"


def _scheduler_flags(service: Service) -> int:
    names = flags_of(service.scheduler)
    flags = 0
    for name in service.flags:
        if name not in names:
            raise ValueError(f"{name!r} is no flag of the scheduler {service.scheduler}")
        flags |= _SCHEDULER_FLAGS[names.index(name)]
    return flags


def _packed_netmask(family: int, prefix: int) -> bytes:
    longest = 8 * wire.ADDRESS_BYTES[family]
    if not (family == socket.AF_INET6) <= prefix <= longest:
        raise ValueError(f"netmask {prefix} is out of range")
    return _NETMASK[family].pack(prefix if family == socket.AF_INET6 else _ALL << longest - prefix & _ALL)


def _prefix(family: int, packed: bytes) -> int | None:
    """Read a netmask; None for one with holes, which is no prefix length."""
    mask: int = _NETMASK[family].unpack(packed)[0]
    if family == socket.AF_INET6:
        return mask
    prefix = mask.bit_count()
    return prefix if mask == _ALL << 32 - prefix & _ALL else None


class _Read(NamedTuple):
    """The specification as the kernel says it, in the order of `SHAPE`."""

    family: int
    protocol: int
    address: bytes | None
    port: bytes | None
    mark: int
    scheduler: bytes
    flags: bytes
    timeout: int
    netmask: bytes
    engine: bytes


def decode_service(specification: Values) -> Service | Foreign:
    """Read what specifies a service. Raises `BadKernelMessage`."""
    read = _Read(*specification)
    if read.family not in _NETMASK:
        raise BadKernelMessage(f"an IPVS service of family {read.family}")
    family: Literal["ipv4", "ipv6"] = "ipv6" if read.family == socket.AF_INET6 else "ipv4"
    protocol, address, port = None, "", 0
    if read.mark:
        identity = mark_identity(read.mark, family)
    elif read.address is None or read.port is None:
        raise BadKernelMessage("an IPVS service without firewall mark, address and port")
    else:
        address, port = address_text(read.family, read.address), BE16.unpack(read.port)[0]
        protocol = PROTOCOL_OF.get(read.protocol)
        identity = service_identity(protocol or f"{UNKNOWN_PROTOCOL}{read.protocol}", address, port)
        if protocol is None:
            return Foreign("service", identity, "neither tcp nor udp nor sctp")
    flags: int = _FLAGS.unpack(read.flags)[0] & ~_HASHED
    known = _PERSISTENT | _ONE_PACKET | sum(_SCHEDULER_FLAGS)
    if flags & ~known:
        return Foreign("service", identity, f"flags 0x{flags & ~known:x}")
    persistence = None
    if flags & _PERSISTENT:
        prefix = _prefix(read.family, read.netmask)
        if prefix is None:
            return Foreign("service", identity, f"a netmask with holes, 0x{read.netmask.hex()}")
        persistence = Persistence(read.timeout, prefix, _text(read.engine) or None)
    scheduler = _text(read.scheduler)
    return Service(
        protocol, address, port, scheduler, _flag_names(scheduler, flags), persistence,
        bool(flags & _ONE_PACKET), read.mark, family if read.mark else "ipv4",
    )  # fmt: skip


def _flag_names(scheduler: str, flags: int) -> tuple[str, ...]:
    names = flags_of(scheduler)
    return tuple(sorted(name for name, flag in zip(names, _SCHEDULER_FLAGS, strict=True) if flags & flag))


def _text(packed: bytes) -> str:
    return packed.rstrip(b"\0").decode("ascii", "replace")
