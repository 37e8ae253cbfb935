"""IPVS messages: what is requested reads back, the kernel's quirks are known, rubbish is refused by name.

That the real kernel understands and says the same is tested in tests/uml.
"""

from __future__ import annotations

import ipaddress
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.errors import BadKernelMessage
from lbminion.netlink import ipvs_codec as codec
from lbminion.netlink.ipvs_codec import Foreign, ServiceKey
from lbminion.netlink.message import attribute, attributes
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service

from .kernel_bytes import destination_fields, entry, service_fields, stats, stats64

KEY = ServiceKey("tcp", "172.28.128.200", 80)
WEB = Service("tcp", "172.28.128.200", 80, "rr")
FIRST = Destination("tcp 172.28.128.200:80", "172.28.128.10", 80, "direct", 3)

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(0, 65535)
services = st.builds(
    Service,
    protocol=st.sampled_from(["tcp", "udp"]),
    address=addresses,
    port=ports,
    scheduler=st.sampled_from(["rr", "wrr", "wlc", "sh", "mh"]),
)
destinations = st.builds(
    Destination,
    service=st.just(KEY.identity),
    address=addresses,
    port=ports,
    forwarding=st.sampled_from(["direct", "masquerade"]),
    weight=st.integers(0, 2**31 - 1),
)


def canonical(address: str) -> str:
    """An address as inet_ntop writes it (Python writes IPv4-mapped ones otherwise)."""
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_ntop(family, ipaddress.ip_address(address).packed)


@given(services)
def test_a_requested_service_reads_back(service: Service) -> None:
    service = msgspec.structs.replace(service, address=canonical(service.address))
    body = attributes(codec.service_request("add", service), 4)[1]
    answer = entry(1, attributes(body) | {10: stats()})
    key, decoded, _ = codec.decode_service(answer)
    assert decoded == service
    assert key == ServiceKey(service.protocol, service.address, service.port)


@given(destinations)
def test_a_requested_destination_reads_back(destination: Destination) -> None:
    destination = msgspec.structs.replace(destination, address=canonical(destination.address))
    body = attributes(codec.destination_request("set", destination), 4)[2]
    fields = attributes(body) | {7: bytes(4), 8: bytes(4), 10: stats()}
    assert codec.decode_destination(entry(2, fields), KEY)[0] == destination


def test_ports_are_in_network_byte_order() -> None:
    assert attribute(4, b"\x00\x50") in codec.service_request("remove", WEB)


def test_the_netmask_of_an_ipv6_service_is_a_prefix_length() -> None:
    six = codec.service_request("add", Service("tcp", "2001:db8::1", 80, "rr"))
    assert attributes(attributes(six, 4)[1])[9] == struct.pack("=I", 128)
    four = codec.service_request("add", WEB)
    assert attributes(attributes(four, 4)[1])[9] == b"\xff\xff\xff\xff"


def test_the_flag_that_the_kernel_sets_by_itself_is_no_difference() -> None:
    for flags in (0, 0x2):
        answer = entry(1, service_fields(a7=struct.pack("=II", flags, 0xFFFFFFFF)))
        assert codec.decode_service(answer)[1] == WEB


def test_statistics_are_the_64_bit_ones_where_there_are_any() -> None:
    large = [2**40 + number for number in range(10)]
    for wide in (stats64(large), stats64(large, padded=True)):
        answer = entry(1, service_fields(a12=wide))
        assert list(msgspec.structs.astuple(codec.decode_service(answer)[2])) == large
        destination = entry(2, destination_fields(a12=wide))
        found = codec.decode_destination(destination, KEY)[1]
        assert list(msgspec.structs.astuple(found)) == [*large, 5, 7]


def test_an_old_kernel_has_32_bit_statistics_only() -> None:
    fields = service_fields()
    del fields[12]
    assert list(msgspec.structs.astuple(codec.decode_service(entry(1, fields))[2])) == list(range(1, 11))


def test_an_old_kernel_leaves_out_the_family_of_a_destination() -> None:
    fields = destination_fields()
    del fields[11]
    del fields[13]
    assert codec.decode_destination(entry(2, fields), KEY)[0] == FIRST


@pytest.mark.parametrize(
    ("fields", "identity", "reason"),
    [
        ({"a7": struct.pack("=II", 0x3, 0), "a8": struct.pack("=I", 50)}, KEY.identity, "persistent 50 s"),
        ({"a7": struct.pack("=II", 0x4, 0)}, KEY.identity, "one-packet scheduling"),
        ({"a7": struct.pack("=II", 0x18, 0)}, KEY.identity, "scheduler flags 0x18"),
        ({"a11": b"sip\0"}, KEY.identity, "a persistence engine"),
        ({"a5": struct.pack("=I", 9)}, "fwmark 9", "a firewall mark"),
        ({"a5": struct.pack("=I", 9), "a1": struct.pack("=H", 10)}, "fwmark 9 IPv6", "a firewall mark"),
        ({"a2": struct.pack("=H", 132)}, "sctp 172.28.128.200:80", "neither tcp nor udp"),
        ({"a2": struct.pack("=H", 50)}, "protocol 50 172.28.128.200:80", "neither tcp nor udp"),
    ],
)
def test_a_service_that_cannot_be_expressed_is_foreign(fields: dict[str, bytes], identity: str, reason: str) -> None:
    _, service, statistics = codec.decode_service(entry(1, service_fields(**fields)))
    assert service == Foreign("service", identity, reason)
    assert statistics.connections == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"a5": struct.pack("=I", 9)}, "connection thresholds 0 to 9"),
        ({"a13": b"\1"}, "tunnel type 1"),
        ({"a3": struct.pack("=I", 1)}, "forwarding method local"),
        ({"a3": struct.pack("=I", 4)}, "forwarding method bypass"),
        ({"a3": struct.pack("=I", 6)}, "forwarding method 6"),
    ],
)
def test_a_destination_that_cannot_be_expressed_is_foreign(fields: dict[str, bytes], reason: str) -> None:
    destination, _ = codec.decode_destination(entry(2, destination_fields(**fields)), KEY)
    assert destination == Foreign("destination", FIRST.identity, reason)


@given(st.data())
def test_rubbish_is_refused_and_never_crashes(data: st.DataObject) -> None:
    """Real messages, with bytes changed, cut off, or both."""
    for whole, decode in (
        (entry(1, service_fields()), codec.decode_service),
        (entry(2, destination_fields()), lambda answer: codec.decode_destination(answer, KEY)),
    ):
        spoilt = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
        for _ in range(data.draw(st.integers(0, 3))):
            if spoilt:
                spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
        try:
            decode(bytes(spoilt))
        except BadKernelMessage:
            continue


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 7, 10])
def test_a_service_without_what_every_kernel_sends_is_refused(kind: int) -> None:
    fields = service_fields()
    del fields[kind]
    if kind == 10:
        del fields[12]
    with pytest.raises(BadKernelMessage, match="IPVS"):
        codec.decode_service(entry(1, fields))


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_destination_without_what_every_kernel_sends_is_refused(kind: int) -> None:
    fields = destination_fields()
    del fields[kind]
    with pytest.raises(BadKernelMessage, match="IPVS"):
        codec.decode_destination(entry(2, fields), KEY)


def test_a_message_about_something_else_is_refused() -> None:
    with pytest.raises(BadKernelMessage, match="without attribute 1"):
        codec.decode_service(entry(3, {}))
    with pytest.raises(BadKernelMessage, match="address of family 7"):
        codec.decode_service(entry(1, service_fields(a1=struct.pack("=H", 7))))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (msgspec.structs.replace(WEB, port=65536), "port 65536 is out of range"),
        (msgspec.structs.replace(WEB, port=-1), "port -1 is out of range"),
        (msgspec.structs.replace(WEB, address="172.28.128.200/32"), "is no IP address"),
        (msgspec.structs.replace(WEB, address=""), "is no IP address"),
        (msgspec.structs.replace(WEB, address="1.2.3.4\0"), "is no IP address"),
        (msgspec.structs.replace(WEB, scheduler="a\0b"), "scheduler"),
        (msgspec.structs.replace(WEB, scheduler=""), "scheduler"),
        (msgspec.structs.replace(WEB, scheduler="rr\N{SNOWMAN}"), "scheduler"),
    ],
)
def test_a_service_that_no_message_can_hold_is_refused(bad: Service, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        codec.service_request("add", bad)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (msgspec.structs.replace(FIRST, weight=-1), "weight -1 is out of range"),
        (msgspec.structs.replace(FIRST, weight=2**32), "weight 4294967296 is out of range"),
        (msgspec.structs.replace(FIRST, address="rs1"), "'rs1' is no IP address"),
        (msgspec.structs.replace(FIRST, forwarding="local"), "forwarding method 'local'"),
    ],
)
def test_a_destination_that_no_message_can_hold_is_refused(bad: Destination, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        codec.destination_request("add", bad)
