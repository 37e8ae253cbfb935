"""Messages about addresses and interfaces: requests read back, rubbish is refused by name."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.errors import BadKernelMessage
from lbminion.netlink import address_codec as codec
from lbminion.netlink.address_codec import Interface, InterfaceAddress
from lbminion.netlink.message import attribute


@pytest.mark.parametrize("address", ["172.28.128.200/32", "10.0.0.1/24", "2001:db8::200/128", "fe80::1/64"])
def test_a_requested_address_reads_back(address: str) -> None:
    assert codec.decode_address(codec.change_request(address, 7)) == InterfaceAddress(7, address)


def test_a_label_is_for_ipv4_only() -> None:
    assert attribute(3, b"lo:vip\0") in codec.change_request("10.0.0.1/32", 1, "lo:vip")
    assert b"lo:vip" not in codec.change_request("2001:db8::1/128", 1, "lo:vip")


def test_an_ipv6_address_is_requested_without_duplicate_address_detection() -> None:
    assert codec.change_request("2001:db8::1/128", 1)[2] == 0x02


def test_of_a_point_to_point_link_the_own_address_is_read() -> None:
    own, peer = attribute(2, bytes([10, 9, 0, 1])), attribute(1, bytes([10, 9, 0, 2]))
    for body in (own + peer, peer + own):
        header = struct.pack("=BBBBI", 2, 32, 0, 0, 3)
        assert codec.decode_address(header + body) == InterfaceAddress(3, "10.9.0.1/32")


def test_addresses_of_other_families_are_passed_over() -> None:
    assert codec.decode_address(struct.pack("=BBBBI", 28, 0, 0, 0, 1)) is None


@pytest.mark.parametrize("address", ["", "10.0.0.1/33", "10.0.0/8", "2001:db8::/129", "vip"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        codec.change_request(address, 1)


def test_an_interface_has_its_name() -> None:
    header = struct.pack("=BxHiII", 0, 1, 4, 0, 0)
    assert codec.decode_interface(header + attribute(3, b"eth0\0")) == Interface(4, "eth0")
    assert codec.decode_interface(header) is None


@given(st.data())
def test_rubbish_is_refused_and_never_crashes(data: st.DataObject) -> None:
    whole = codec.change_request("10.0.0.1/32", 1, "lo:vip")
    spoilt = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if spoilt:
            spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    for decode in (codec.decode_address, codec.decode_interface):
        try:
            decode(bytes(spoilt))
        except BadKernelMessage:
            continue


def test_an_address_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(BadKernelMessage, match="family 2 with 3 bytes"):
        codec.decode_address(struct.pack("=BBBBI", 2, 32, 0, 0, 1) + attribute(2, b"abc"))
