"""Services and destinations: what is requested reads back, the kernel's quirks are known, rubbish is refused by name.

That the real kernel understands and says the same is tested in tests/uml.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.errors import BadKernelMessage
from lbminion.netlink import ipvs_destination, ipvs_service
from lbminion.netlink.ipvs_destination import decode_destination, destination_request
from lbminion.netlink.ipvs_key import can_be_asked_for, key
from lbminion.netlink.ipvs_layout import Reader, Values
from lbminion.netlink.ipvs_service import Foreign, decode_service, service_request
from lbminion.netlink.message import attributes
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.service import Persistence, Service

from .kernel_bytes import destination_fields, entry, service_fields, stats, stats64

WEB = Service("tcp", "172.28.128.200", 80, "rr")
FIRST = Destination(WEB.identity, "172.28.128.10", 80, "direct", 3)
FLAGS = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port"), "rr": ("flag-1", "flag-2", "flag-3")}


def canonical(address: str) -> str:
    """An address as inet_ntop writes it (Python writes IPv4-mapped ones otherwise)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_ntop(family, ipaddress.ip_address(address).packed)


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str).map(canonical)
ports = st.integers(0, 65535)
numbers = st.integers(0, 2**31 - 1)


@st.composite
def services(draw: st.DrawFn) -> Service:
    """Any service that can be written."""
    scheduler = draw(st.sampled_from(["rr", "sh", "mh"]))
    mark, address = draw(st.one_of(st.tuples(st.integers(1, 2**31 - 1), st.just("")), st.tuples(st.just(0), addresses)))
    service = Service(
        None if mark else draw(st.sampled_from(["tcp", "udp", "sctp"])), address, 0 if mark else draw(ports), scheduler,
        tuple(sorted(draw(st.sets(st.sampled_from(FLAGS[scheduler]))))),
        one_packet=draw(st.booleans()),
        mark=mark,
        mark_family=draw(st.sampled_from(["ipv4", "ipv6"])) if mark else "ipv4",
    )  # fmt: skip
    if draw(st.booleans()):
        return service
    netmask = draw(st.integers(1, 128) if service.family == "ipv6" else st.integers(0, 32))
    persistence = Persistence(draw(numbers), netmask, draw(st.sampled_from([None, "sip"])))
    return msgspec.structs.replace(service, persistence=persistence)


tunnels = st.builds(
    Tunnel,
    type=st.sampled_from(["ipip", "gre", "gue"]),
    port=ports,
    checksum=st.sampled_from(["none", "full", "remote"]),
)


@st.composite
def destinations(draw: st.DrawFn) -> Destination:
    """Any destination that can be written."""
    forwarding = draw(st.sampled_from(["direct", "tunnel", "masquerade", "local"]))
    return Destination(
        draw(services()).identity, draw(addresses), draw(ports), forwarding, draw(numbers), draw(numbers),
        draw(numbers), draw(tunnels) if forwarding == "tunnel" else None,
    )  # fmt: skip


def read(answer: bytes, *, destination: bool = False) -> tuple[Values, Values]:
    """Read an entry of a dump."""
    shape = ipvs_destination.SHAPE if destination else ipvs_service.SHAPE
    return Reader(shape).read(answer, 0, len(answer))


def service_of(**fields: bytes) -> Service | Foreign:
    """The service that the kernel means by the fields of "tcp 172.28.128.200:80" and these."""
    return decode_service(read(entry(1, service_fields(**fields)))[0])


def destination_of(**fields: bytes) -> Destination | Foreign:
    """The destination that the kernel means by the fields of `FIRST` and these."""
    return decode_destination(read(entry(2, destination_fields(**fields)), destination=True)[0], WEB.identity)


@given(services())
def test_a_requested_service_reads_back(service: Service) -> None:
    body = attributes(service_request("add", service), 4)[1]
    answer = entry(1, attributes(body) | {10: stats()})
    assert decode_service(read(answer)[0]) == service
    assert attributes(service_request("remove", service), 4)[1] == key(service.identity)


@given(destinations())
def test_a_requested_destination_reads_back(destination: Destination) -> None:
    body = attributes(destination_request("set", destination), 4)
    answer = entry(2, attributes(body[2]) | {7: bytes(4), 8: bytes(4), 10: stats()})
    assert decode_destination(read(answer, destination=True)[0], destination.service) == destination
    assert body[1] == key(destination.service)


@given(destinations())
def test_a_destination_is_removed_by_what_identifies_it_alone(destination: Destination) -> None:
    body = attributes(destination_request("remove", destination), 4)
    assert set(attributes(body[2])) == {1, 2, 11}
    assert body[1] == key(destination.service)


def test_ports_are_in_network_byte_order() -> None:
    assert attributes(key(WEB.identity))[4] == b"\x00\x50"
    gue = msgspec.structs.replace(FIRST, forwarding="tunnel", tunnel=Tunnel("gue", 6080))
    body = attributes(attributes(destination_request("add", gue), 4)[2])
    assert (body[2], body[14]) == (b"\x00\x50", b"\x17\xc0")


@pytest.mark.parametrize(
    ("address", "netmask", "written"),
    [
        ("2001:db8::1", None, struct.pack("=I", 128)),
        ("2001:db8::1", 64, struct.pack("=I", 64)),
        ("172.28.128.200", None, b"\xff\xff\xff\xff"),
        ("172.28.128.200", 23, b"\xff\xff\xfe\x00"),
        ("172.28.128.200", 1, b"\x80\x00\x00\x00"),
        ("172.28.128.200", 0, b"\x00\x00\x00\x00"),
    ],
)
def test_a_netmask_is_a_prefix_length_for_ipv6_and_a_mask_in_network_order_for_ipv4(
    address: str, netmask: int | None, written: bytes
) -> None:
    persistence = None if netmask is None else Persistence(60, netmask)
    request = service_request("add", Service("tcp", address, 80, "rr", persistence=persistence))
    assert attributes(attributes(request, 4)[1])[9] == written


def test_the_flag_that_the_kernel_sets_by_itself_is_no_difference() -> None:
    for flags in (0, 0x2):
        assert service_of(a7=struct.pack("=II", flags, 0xFFFFFFFF)) == WEB


def test_timeout_and_netmask_mean_nothing_without_persistence() -> None:
    assert service_of(a8=struct.pack("=I", 360), a9=b"\xff\xff\xff\x00") == WEB


def test_statistics_are_the_64_bit_ones_where_there_are_any() -> None:
    large = [2**40 + number for number in range(10)]
    for wide in (stats64(large), stats64(large, padded=True)):
        assert read(entry(1, service_fields(a12=wide)))[1] == tuple(large)
        assert read(entry(2, destination_fields(a12=wide)), destination=True)[1] == (*large, 5, 7)


def test_an_old_kernel_has_32_bit_statistics_only() -> None:
    fields = service_fields()
    del fields[12]
    assert read(entry(1, fields))[1] == tuple(range(1, 11))


def test_an_old_kernel_leaves_out_the_family_and_the_tunnel_of_a_destination() -> None:
    fields = destination_fields(a3=struct.pack("=I", 2))
    del fields[11]
    del fields[13]
    found = decode_destination(read(entry(2, fields), destination=True)[0], WEB.identity)
    assert found == msgspec.structs.replace(FIRST, forwarding="tunnel", tunnel=Tunnel())


@pytest.mark.parametrize(
    ("fields", "identity", "reason"),
    [
        ({"a2": struct.pack("=H", 50)}, "protocol 50 172.28.128.200:80", "neither tcp nor udp nor sctp"),
        ({"a7": struct.pack("=II", 0x40, 0)}, WEB.identity, "flags 0x40"),
        (
            {"a7": struct.pack("=II", 0x1, 0), "a9": b"\xff\x00\xff\x00"},
            WEB.identity,
            "a netmask with holes, 0xff00ff00",
        ),
    ],
)
def test_a_service_that_cannot_be_expressed_is_foreign(fields: dict[str, bytes], identity: str, reason: str) -> None:
    assert service_of(**fields) == Foreign("service", identity, reason)
    assert can_be_asked_for(identity) is not identity.startswith("protocol")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"a3": struct.pack("=I", 4)}, "forwarding method bypass"),
        ({"a3": struct.pack("=I", 6)}, "forwarding method 6"),
        ({"a3": struct.pack("=I", 2), "a13": b"\7"}, "tunnel type 7"),
        ({"a3": struct.pack("=I", 2), "a13": b"\2", "a15": struct.pack("=H", 3)}, "tunnel flags 0x3"),
    ],
)
def test_a_destination_that_cannot_be_expressed_is_foreign(fields: dict[str, bytes], reason: str) -> None:
    assert destination_of(**fields) == Foreign("destination", FIRST.identity, reason)


def test_what_a_direct_destination_says_of_tunnels_means_nothing() -> None:
    assert destination_of(a13=b"\2", a14=b"\x17\xc0") == FIRST


@given(st.data())
def test_rubbish_is_refused_and_never_crashes(data: st.DataObject) -> None:
    """Real messages, with bytes changed, cut off, or both; the reader has met a good one before."""
    for whole, shape in (
        (entry(1, service_fields()), ipvs_service.SHAPE),
        (entry(2, destination_fields()), ipvs_destination.SHAPE),
    ):
        reader = Reader(shape)
        reader.read(whole, 0, len(whole))
        spoilt = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
        for _ in range(data.draw(st.integers(0, 3))):
            if spoilt:
                spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
        try:
            specification = reader.read(bytes(spoilt), 0, len(spoilt))[0]
            if shape is ipvs_service.SHAPE:
                decode_service(specification)
            else:
                decode_destination(specification, WEB.identity)
        except BadKernelMessage:
            continue


@pytest.mark.parametrize("kind", [1, 3, 4, 6, 7, 8, 9, 10])
def test_a_service_without_what_every_kernel_sends_is_refused(kind: int) -> None:
    fields = service_fields()
    del fields[kind]
    if kind == 10:
        del fields[12]
    with pytest.raises(BadKernelMessage, match="IPVS"):
        decode_service(read(entry(1, fields))[0])


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_destination_without_what_every_kernel_sends_is_refused(kind: int) -> None:
    fields = destination_fields()
    del fields[kind]
    with pytest.raises(BadKernelMessage, match="IPVS"):
        read(entry(2, fields), destination=True)


@pytest.mark.parametrize("kind", range(1, 11))
def test_statistics_without_one_of_the_ten_are_refused(kind: int) -> None:
    fields = attributes(stats64())
    del fields[kind]
    from .kernel_bytes import attributes_of

    with pytest.raises(BadKernelMessage, match=f"attribute {kind}"):
        read(entry(1, service_fields(a12=attributes_of(fields))))


def test_a_family_that_ipvs_does_not_have_is_refused() -> None:
    with pytest.raises(BadKernelMessage, match="of family 17"):
        service_of(a1=struct.pack("=H", 17))
    with pytest.raises(BadKernelMessage, match="of family 17"):
        destination_of(a11=struct.pack("=H", 17))


def test_an_empty_message_is_refused() -> None:
    with pytest.raises(BadKernelMessage, match="without attribute 1"):
        read(bytes(4))


def test_an_entry_of_a_known_layout_is_not_walked_again_and_one_of_another_is() -> None:
    """Of the same length, but with the attributes in another order: the headers tell."""
    reader = Reader(ipvs_destination.SHAPE)
    fields = destination_fields()
    same, turned = entry(2, fields), entry(2, dict(reversed(fields.items())))
    assert len(same) == len(turned)
    for answer in (same, same, turned, turned, same):
        specification, counts = reader.read(answer, 0, len(answer))
        assert decode_destination(specification, WEB.identity) == FIRST
        assert counts[-2:] == (5, 7)
    assert reader.walked == 2


def test_layouts_that_keep_changing_do_not_fill_the_memory() -> None:
    reader = Reader(ipvs_service.SHAPE)
    for number in range(300):
        more = (100 + number, bytes(4 * number)), (100 + number, bytes(4))
        for kind, value in more:  # of another length each, and then of one length
            answer = entry(1, service_fields(**{f"a{kind}": value}))
            assert decode_service(reader.read(answer, 0, len(answer))[0]) == WEB
    assert sum(map(len, reader._layouts.values())) <= 64
