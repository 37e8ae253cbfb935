"""What the kernel says about a network device, and bytes that it never says."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.errors import BadKernelMessage
from lbminion.netlink.link_watch import Seen, device
from lbminion.netlink.message import attribute

UP = 0x1
LOWER_UP = 0x10000


def link(index: int, flags: int, name: bytes, family: int = 0) -> bytes:
    return pack("=BxHiII", family, 1, index, flags, 0) + attribute(3, name + b"\0") + attribute(4, b"\xdc\x05\0\0")


def test_a_device_is_read_with_what_matters_of_it() -> None:
    """Name, administrative state, carrier and MTU."""
    assert device(link(7, UP | LOWER_UP, b"eth1.100")) == (7, Seen("eth1.100", True, True, b"\xdc\x05\0\0"))
    assert device(link(7, 0, b"tunl0")) == (7, Seen("tunl0", False, False, b"\xdc\x05\0\0"))


def test_a_message_about_the_port_of_a_bridge_is_none_about_the_device() -> None:
    """The kernel says "gone" of a port that leaves a bridge."""
    assert device(link(7, UP, b"eth1", family=7)) == (7, None)


@pytest.mark.parametrize("length", [0, 1, 15, 17, 20])
def test_a_message_that_is_cut_short_is_said_to_be_so(length: int) -> None:
    """And nothing is made up."""
    with pytest.raises(BadKernelMessage):
        device(link(7, UP, b"eth1")[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Never another error."""
    try:
        device(data)
    except BadKernelMessage:
        return
