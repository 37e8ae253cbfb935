"""Targets: what the kernel answers, and packets that anybody on the network may have sent."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from lbminion.doctor import adverts, listeners, own_clients
from lbminion.errors import BadKernelMessage
from lbminion.netlink import fou, ipvs_settings, link_watch, message, transport
from lbminion.netlink.ipvs_destination import SHAPE as DESTINATION
from lbminion.netlink.ipvs_layout import Reader, Shape
from lbminion.netlink.ipvs_service import SHAPE as SERVICE
from lbminion.netlink.ipvs_table import destination_listing, service_listing, table_of
from lbminion.netlink.message import attribute, frame
from tests.minion.netlink.kernel_bytes import attributes_of, destination_fields, entry, service_fields, stats64

WEB: Final = "tcp 172.28.128.200:80"
_SEQUENCE: Final = 1
_FAMILY: Final = 30


def _framing(data: bytes) -> None:
    for answer in message.split(data):
        if answer.type in (message.ERROR, message.DONE):
            assert message.refusal(answer).errno >= 0


def _piece(data: bytes) -> None:
    with contextlib.suppress(transport.Refused):
        piece = transport.piece_of(data, _SEQUENCE)
        for datagram, start, end in transport.spans([piece]):
            assert 0 <= start <= end <= len(datagram)


def _services(data: bytes) -> None:
    """After a good dump, so that what is the same is kept."""
    with contextlib.suppress(transport.Refused):
        pieces = (transport.piece_of(data, _SEQUENCE),)
        listing = _after(service_listing, SERVICE, entry(1, service_fields()))
        listing.read(pieces)
        table_of(listing, ())


def _destinations(data: bytes) -> None:
    with contextlib.suppress(transport.Refused):
        pieces = (transport.piece_of(data, _SEQUENCE),)
        listing = _after(partial(destination_listing, service=WEB), DESTINATION, entry(2, destination_fields()))
        listing.read(pieces)
        table_of(service_listing(Reader(SERVICE)), (listing,))


_KNOWN: Final[dict[int, tuple[Any, dict[int, list[Any]]]]] = {}


def _after(make: Callable[[Reader], Any], shape: Shape, known: bytes) -> Any:
    """A listing that has read a dump of this one entry. (What that taught is kept: it would be most of the time.)"""
    if shape.outer not in _KNOWN:
        reader = Reader(shape)
        begun = make(reader)
        begun.read((transport.piece_of(_dump(known), _SEQUENCE),))
        _KNOWN[shape.outer] = begun, reader._layouts
    begun, layouts = _KNOWN[shape.outer]
    reader = Reader(shape)
    reader._layouts = {size: list(of_size) for size, of_size in layouts.items()}
    listing = make(reader)
    listing._rows, listing._pieces = begun._rows, begun._pieces
    return listing


def _timeouts(data: bytes) -> None:
    ipvs_settings.decode_timeouts(data)


def _daemon(data: bytes) -> None:
    ipvs_settings.decode_daemon(data)


def _device(data: bytes) -> None:
    link_watch.device(data)


def _gue_port(data: bytes) -> None:
    fou._decode(data)


def _listener(data: bytes) -> None:
    found = listeners.decode("tcp", data)
    listeners.covers(found, listeners.Wanted("tcp", "172.28.128.200", 80))


def _call(data: bytes) -> None:
    own_clients.decode(data)


_READERS: Final[tuple[Callable[[bytes], None], ...]] = (
    _framing, _piece, _services, _destinations, _timeouts, _daemon, _device, _gue_port, _listener, _call,
)  # fmt: skip


def netlink(data: bytes) -> None:
    """The first byte says which of the readers is meant."""
    if data:
        with contextlib.suppress(BadKernelMessage):
            _READERS[data[0] % len(_READERS)](data[1:])


def netlink_seeds() -> Iterator[bytes]:
    fields = service_fields()
    by_mark = {kind: value for kind, value in fields.items() if kind not in {2, 3, 4}} | {5: struct.pack("=I", 7)}
    flagged = service_fields(a6=b"mh\0", a7=struct.pack("=II", 0x1F, 0), a11=b"sip\0")
    services = [entry(1, one) for one in (fields, by_mark, flagged, service_fields(a12=stats64(padded=True)))]
    tunnel = destination_fields(a3=struct.pack("=I", 2), a13=b"\1", a14=b"\x17\xc0", a15=struct.pack("=H", 1))
    destinations = [entry(2, one) for one in (destination_fields(), tunnel)]
    refused = struct.pack("=i", -2) + bytes(16) + attribute(1, b"no such thing\0")
    error = frame(message.ERROR, 0x300, _SEQUENCE, refused)
    daemon = attributes_of(
        {1: struct.pack("=I", 1), 2: b"eth0\0", 3: struct.pack("=I", 5), 4: struct.pack("=H", 1400), 5: bytes(4)}
        | {7: struct.pack("=H", 8848), 8: b"\1"}
    )
    diag = struct.pack("=BBBB2s2s16s16sI8s20s", 2, 10, 0, 0, b"\0\x50", b"\0\x51", bytes(16), bytes(16), 0, b"", b"")
    link = struct.pack("=BxHiII", 0, 1, 3, 0x10041, 0) + attributes_of({3: b"eth1\0", 4: struct.pack("=I", 1500)})
    port = attributes_of({1: b"\x17\xc0", 2: bytes([socket.AF_INET]), 4: b"\2"})
    for number, bodies in {
        0: [_dump(*services), error],
        1: [_dump(*destinations), error],
        2: [_dump(one) for one in services] + [_dump(*services)],
        3: [_dump(one) for one in destinations] + [_dump(*destinations)],
        4: [bytes(4) + attributes_of({kind: struct.pack("=I", 900) for kind in (4, 5, 6)})],
        5: [bytes(4) + attribute(3, daemon)],
        6: [link],
        7: [bytes(4) + port],
        8: [diag + attribute(11, b"\1")],
        9: [diag],
    }.items():
        yield from (bytes([number]) + body for body in bodies)


def _dump(*entries: bytes) -> bytes:
    return b"".join(frame(_FAMILY, 2, _SEQUENCE, one) for one in entries) + frame(message.DONE, 2, _SEQUENCE, bytes(4))


def packets(data: bytes) -> None:
    """Any IP packet of protocol 112: an advertisement of RFC 3768 or RFC 5798, or None."""
    heard = adverts.parse(data)
    if heard is not None:
        assert 0 <= heard.interval <= 255
        assert all(vip.isprintable() for vip in (heard.source, *heard.vips))


def packets_seeds() -> Iterator[bytes]:
    for first, header in (
        (0x45, bytes([0x45, 0, 0, 40, 0, 0, 0, 0, 255, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18])),
        (0x60, bytes([0x60, 0, 0, 0, 0, 24, 112, 255]) + b"\xfe\x80" + bytes(30)),
    ):
        address = bytes([10, 0, 0, 9]) if first == 0x45 else bytes(16)
        yield header + struct.pack("!BBBBHH", 0x31, 51, 200, 1, 100, 0) + address
        yield header + struct.pack("!BBBBHH", 0x21, 51, 200, 2, 1, 0) + address * 2 + bytes(8)
