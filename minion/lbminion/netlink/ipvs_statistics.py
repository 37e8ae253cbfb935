"""The statistics of the IPVS table: their types, and how they lie in the kernel's messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Final, TypeAlias, cast

import msgspec

from lbminion.errors import BadKernelMessage

from .message import attributes

_U32, _U64 = Struct("=I"), Struct("=Q")
_STATS_FIELDS: Final = range(1, 11)  # connections, packets and bytes in and out, and the rates of the same five
_STATS64: Final = Struct("=" + "HHQ" * 10)
_STATS64_HEADERS: Final = tuple(value for kind in _STATS_FIELDS for value in (12, kind))
_TRIPLE, _VALUE = 3, 2  # length, type, value: the value is the last of three
_IN_BYTES, _OUT_BYTES = 4, 5
_STATS_NUMBERS: Final = {kind: _U64 if kind in {_IN_BYTES, _OUT_BYTES} else _U32 for kind in _STATS_FIELDS}
_STATS64_NUMBERS: Final = dict.fromkeys(_STATS_FIELDS, _U64)


Ten: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]


class Traffic(msgspec.Struct, frozen=True):
    """Totals since the entry was made, and rates per second, averaged over some seconds.

    The kernel adds both up every two seconds, so they lag by that much.
    """

    connections: int
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int
    cps: int
    pps_in: int
    pps_out: int
    bps_in: int
    bps_out: int


class ServiceStatistics(Traffic, frozen=True):
    """What went through a virtual service; `bps` is bytes per second, as the kernel counts it."""


class DestinationStatistics(Traffic, frozen=True):
    """What went to a destination; `active` connections are established, `inactive` are all others that are known.

    These two are of the moment.
    """

    active: int
    inactive: int


def traffic(narrow: bytes, wide: bytes | None) -> Ten:
    """Read the ten numbers of `Traffic`, in its order, from the attributes STATS (`narrow`) and STATS64 (`wide`).

    Those of 64 bits are used where the kernel has them (since 4.1): 32 bits of packets wrap within a day. Raises
    `BadKernelMessage`.
    """
    if wide is None:
        return _numbers(attributes(narrow), _STATS_NUMBERS)
    if len(wide) == _STATS64.size:  # ten plain attributes: the layout without PAD, read at one stroke
        values = _STATS64.unpack(wide)
        if tuple(value for at, value in enumerate(values) if at % _TRIPLE != _VALUE) == _STATS64_HEADERS:
            return cast("Ten", values[_VALUE::_TRIPLE])
    return _numbers(attributes(wide), _STATS64_NUMBERS)


def _numbers(found: Mapping[int, bytes], layouts: Mapping[int, Struct]) -> Ten:
    values = []
    for kind, layout in layouts.items():
        value = found.get(kind, b"")
        if len(value) != layout.size:
            raise BadKernelMessage(f"IPVS statistics attribute {kind} has {len(value)} bytes instead of {layout.size}")
        values.append(int(layout.unpack(value)[0]))
    return cast("Ten", tuple(values))
