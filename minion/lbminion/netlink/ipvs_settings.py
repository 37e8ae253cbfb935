"""The kernel's messages about what is set once per table: timeouts and synchronisation daemons. Pure.

The kernel's quirks: a timeout of 0 means "as it is"; the daemon's multicast port is in native byte order; a daemon of
an IPv6 group has its address in an attribute of its own; a sync id is cut to 8 bits when it is sent, and a maximum
length out of range becomes the nearest one that is not, both without a word, so that they are refused here.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final

from lbminion.errors import BadKernelMessage
from lbstates.kinds.sync_daemon import SyncDaemon, SyncRole
from lbstates.kinds.timeouts import Timeouts

from . import ipvs_wire as wire
from .ipvs_wire import GENERIC_HEADER, U8, U16, U32
from .message import attribute, attributes

_STATES: Final[dict[SyncRole, int]] = {"master": 1, "backup": 2}
_ROLE_OF: Final = {number: role for role, number in _STATES.items()}
_INTERFACE_BYTES: Final = 15
_MOST_SYNC_ID: Final = 255
_LEAST_LENGTH: Final[dict[SyncRole, int]] = {"master": 1, "backup": 1024}
_IP_AND_UDP: Final = {False: 28, True: 48}


def info_request() -> bytes:
    """Ask for the version: the cheapest question that wants the same rights as all others."""
    return wire.header(wire.GET_INFO)


def timeouts_request() -> bytes:
    """Ask for the timeouts."""
    return wire.header(wire.GET_CONFIG)


def set_timeouts_request(timeouts: Timeouts) -> bytes:
    """Write a change of the timeouts; one of 0 stays as it is. Raises `ValueError`."""
    return (
        wire.header(wire.SET_CONFIG)
        + attribute(wire.CMD_TIMEOUT_TCP, wire.number(U32, timeouts.tcp, "tcp timeout"))
        + attribute(wire.CMD_TIMEOUT_TCP_FIN, wire.number(U32, timeouts.tcpfin, "tcpfin timeout"))
        + attribute(wire.CMD_TIMEOUT_UDP, wire.number(U32, timeouts.udp, "udp timeout"))
    )


def decode_timeouts(payload: bytes) -> Timeouts:
    """Read the answer to `timeouts_request`. Raises `BadKernelMessage`."""
    found = attributes(payload, GENERIC_HEADER.size)
    return Timeouts(*(_number(found, kind) for kind in _TIMEOUTS))


_TIMEOUTS: Final = (wire.CMD_TIMEOUT_TCP, wire.CMD_TIMEOUT_TCP_FIN, wire.CMD_TIMEOUT_UDP)


def daemons_request() -> bytes:
    """Ask (by a dump) for the synchronisation daemons that run."""
    return wire.header(wire.GET_DAEMON)


def start_daemon_request(daemon: SyncDaemon) -> bytes:
    """Write the start of a daemon. Raises `ValueError`."""
    name = daemon.interface.encode()
    if not 0 < len(name) <= _INTERFACE_BYTES or b"\0" in name:
        raise ValueError(f"{daemon.interface!r} is no name of an interface")
    if not 0 <= daemon.sync_id <= _MOST_SYNC_ID:
        raise ValueError(f"sync id {daemon.sync_id} is out of range")
    least, most = _LEAST_LENGTH[daemon.role], 0xFFFF - _IP_AND_UDP[":" in daemon.group]
    if not least <= daemon.maximum_length <= most:
        raise ValueError(f"maximum length {daemon.maximum_length} is out of range: {least} to {most}")
    body = (
        attribute(wire.DAEMON_STATE, U32.pack(_STATES[daemon.role]))
        + attribute(wire.DAEMON_INTERFACE, name + b"\0")
        + attribute(wire.DAEMON_ID, U32.pack(daemon.sync_id))
        + attribute(wire.DAEMON_LENGTH, U16.pack(daemon.maximum_length))
        + _group(daemon.group)
        + attribute(wire.DAEMON_PORT, wire.number(U16, daemon.port, "port"))
        + attribute(wire.DAEMON_TTL, wire.number(U8, daemon.ttl, "ttl"))
    )
    return wire.header(wire.NEW_DAEMON) + attribute(wire.CMD_DAEMON, body)


def _group(address: str) -> bytes:
    family, kind = (socket.AF_INET6, wire.DAEMON_GROUP6) if ":" in address else (socket.AF_INET, wire.DAEMON_GROUP)
    try:
        return attribute(kind, socket.inet_pton(family, address))
    except (OSError, ValueError):
        raise ValueError(f"multicast group {address!r} is no IP address") from None


def stop_daemon_request(role: SyncRole) -> bytes:
    """Write the stop of a daemon."""
    return wire.header(wire.DEL_DAEMON) + attribute(
        wire.CMD_DAEMON, attribute(wire.DAEMON_STATE, U32.pack(_STATES[role]))
    )


def decode_daemon(payload: bytes) -> SyncDaemon:
    """Read one entry of a dump of daemons. Raises `BadKernelMessage`."""
    nested = attributes(payload, GENERIC_HEADER.size).get(wire.CMD_DAEMON)
    if nested is None:
        raise BadKernelMessage("an IPVS message without a daemon")
    found = attributes(nested)
    role = _ROLE_OF.get(_number(found, wire.DAEMON_STATE))
    if role is None:
        raise BadKernelMessage("an IPVS daemon that is neither master nor backup")
    six = found.get(wire.DAEMON_GROUP6)
    family, packed = (socket.AF_INET, found.get(wire.DAEMON_GROUP, b"")) if six is None else (socket.AF_INET6, six)
    if len(packed) != wire.ADDRESS_BYTES[family]:
        raise BadKernelMessage(f"an IPVS daemon with a group of {len(packed)} bytes")
    return SyncDaemon(
        role=role,
        sync_id=_number(found, wire.DAEMON_ID),
        interface=found.get(wire.DAEMON_INTERFACE, b"").rstrip(b"\0").decode("ascii", "replace"),
        maximum_length=_number(found, wire.DAEMON_LENGTH, 2),
        group=socket.inet_ntop(family, packed),
        port=_number(found, wire.DAEMON_PORT, 2),
        ttl=_number(found, wire.DAEMON_TTL, 1),
    )


_LAYOUTS: Final = {1: U8, 2: U16, 4: U32}


def _number(found: Mapping[int, bytes], kind: int, size: int = 4) -> int:
    value = found.get(kind, b"")
    if len(value) != size:
        raise BadKernelMessage(f"IPVS attribute {kind} has {len(value)} bytes instead of {size}")
    return int(_LAYOUTS[size].unpack(value)[0])
