"""The kernel's messages about destinations <-> lbstates' Destination. Pure.

The kernel's quirks: port and tunnel port are in network byte order among native numbers; a `set` resets what it does
not name (method, thresholds, tunnel), so that requests always name everything; kernels before 4.18 do not say the
destination's family, and those before 5.3 know no tunnels but ipip.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from lbstates.kinds.destination import Checksum, Destination, Forwarding, Tunnel, TunnelType

from . import ipvs_wire as wire
from .ipvs_key import address_bytes, address_text, endpoint_text, family_of_key, key
from .ipvs_layout import Shape, Values
from .ipvs_service import Foreign, Verb
from .ipvs_wire import BE16
from .message import attribute

_COMMANDS: Final = {"add": wire.NEW_DEST, "set": wire.SET_DEST, "remove": wire.DEL_DEST}
_FORWARDINGS: Final[dict[Forwarding, int]] = {"masquerade": 0, "local": 1, "tunnel": 2, "direct": 3}
_FORWARDING_OF: Final = {number: name for name, number in _FORWARDINGS.items()}
_OTHER_FORWARDING: Final = {4: "bypass"}
_TUNNELS: Final[dict[TunnelType, int]] = {"ipip": 0, "gue": 1, "gre": 2}
_TUNNEL_OF: Final = {number: name for name, number in _TUNNELS.items()}
_CHECKSUMS: Final[dict[Checksum, int]] = {"none": 0, "full": 1, "remote": 2}
_CHECKSUM_OF: Final = {number: name for name, number in _CHECKSUMS.items()}
_IPIP: Final = Tunnel()

# One struct for a whole destination: 11,000 of them are written in one push.
_IDENTITY: Final = Struct("=HH HHH2x HH16s HH2s2x".replace(" ", ""))
_WHOLE: Final = Struct("=HH HHH2x HH16s HH2s2x HHI HHI HHI HHI HHB3x HH2s2x HHH2x".replace(" ", ""))
_HEADERS: Final = {verb: wire.header(command) for verb, command in _COMMANDS.items()}

SHAPE: Final = Shape(
    outer=wire.CMD_DEST,
    formats={
        wire.DEST_AF: "H",
        wire.DEST_ADDR: "16s",
        wire.DEST_PORT: "2s",
        wire.DEST_FORWARDING: "I",
        wire.DEST_WEIGHT: "I",
        wire.DEST_UPPER: "I",
        wire.DEST_LOWER: "I",
        wire.DEST_TUN_TYPE: "B",
        wire.DEST_TUN_PORT: "2s",
        wire.DEST_TUN_FLAGS: "H",
        wire.DEST_ACTIVE: "I",
        wire.DEST_INACTIVE: "I",
    },
    specification=(
        wire.DEST_AF, wire.DEST_ADDR, wire.DEST_PORT, wire.DEST_FORWARDING, wire.DEST_WEIGHT, wire.DEST_UPPER,
        wire.DEST_LOWER, wire.DEST_TUN_TYPE, wire.DEST_TUN_PORT, wire.DEST_TUN_FLAGS,
    ),
    counts=(wire.DEST_ACTIVE, wire.DEST_INACTIVE),
    defaults={wire.DEST_AF: None, wire.DEST_TUN_TYPE: 0, wire.DEST_TUN_PORT: bytes(2), wire.DEST_TUN_FLAGS: 0},
    narrow=wire.DEST_STATS,
    wide=wire.DEST_STATS64,
)  # fmt: skip
"""What is read of a destination."""


def destinations_request(service: str) -> bytes:
    """Ask (by a dump) for the destinations of the service of this identity; there are none if there is no such service."""
    return wire.header(wire.GET_DEST) + attribute(wire.CMD_SERVICE, key(service))


def destination_request(verb: Verb, destination: Destination) -> bytes:
    """Write the change of a destination. Raises `ValueError` for what the kernel's message cannot hold."""
    family, address = address_bytes(destination.address)
    port = _port(destination.port, "port")
    head = _HEADERS[verb] + _service(destination.service)
    if verb == "remove":
        return head + _IDENTITY.pack(
            _IDENTITY.size, wire.CMD_DEST, 6, wire.DEST_AF, family, 20, wire.DEST_ADDR, address, 6, wire.DEST_PORT, port
        )
    tunnel = destination.tunnel or _IPIP
    weight, upper, lower = destination.weight, destination.upper, destination.lower
    if min(weight, upper, lower) < 0 or max(weight, upper, lower) > _LARGEST:
        for value, name in ((weight, "weight"), (upper, "upper threshold"), (lower, "lower threshold")):
            wire.number(wire.U32, value, name)
    if destination.forwarding not in _FORWARDINGS:
        raise ValueError(f"forwarding method {destination.forwarding!r} is not known")
    return head + _WHOLE.pack(
        _WHOLE.size, wire.CMD_DEST,
        6, wire.DEST_AF, family,
        20, wire.DEST_ADDR, address,
        6, wire.DEST_PORT, port,
        8, wire.DEST_FORWARDING, _FORWARDINGS[destination.forwarding],
        8, wire.DEST_WEIGHT, weight,
        8, wire.DEST_UPPER, upper,
        8, wire.DEST_LOWER, lower,
        5, wire.DEST_TUN_TYPE, _TUNNELS[tunnel.type],
        6, wire.DEST_TUN_PORT, _port(tunnel.port, "tunnel port"),
        6, wire.DEST_TUN_FLAGS, _CHECKSUMS[tunnel.checksum],
    )  # fmt: skip


_LARGEST: Final = 0xFFFFFFFF


def _service(identity: str) -> bytes:
    return attribute(wire.CMD_SERVICE, key(identity))


def _port(port: int, name: str) -> bytes:
    return wire.number(BE16, port, name)


def decode_destination(specification: Values, service: str) -> Destination | Foreign:
    """Read what specifies a destination of the service of this identity. Raises `BadKernelMessage`."""
    family, address, port, method, weight, upper, lower, tunnel_type, tunnel_port, checksum = specification
    if family is None:
        family = family_of_key(service)
    forwarding = _FORWARDING_OF.get(method)
    if forwarding is None:
        reason = f"forwarding method {_OTHER_FORWARDING.get(method, method)}"
    elif forwarding != "tunnel":
        return Destination(
            service, address_text(family, address), BE16.unpack(port)[0], forwarding, weight, upper, lower
        )
    elif tunnel_type not in _TUNNEL_OF:
        reason = f"tunnel type {tunnel_type}"
    elif checksum not in _CHECKSUM_OF:
        reason = f"tunnel flags 0x{checksum:x}"
    else:
        tunnel = Tunnel(_TUNNEL_OF[tunnel_type], BE16.unpack(tunnel_port)[0], _CHECKSUM_OF[checksum])
        return Destination(
            service, address_text(family, address), BE16.unpack(port)[0], forwarding, weight, upper, lower, tunnel
        )
    return Foreign("destination", f"{service} -> {endpoint_text(family, address, port)}", reason)
