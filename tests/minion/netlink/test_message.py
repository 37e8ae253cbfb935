"""Netlink's framing: what was packed is read back, and bytes that are cut short are an error with a name."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.errors import BadKernelMessage
from lbminion.netlink import message
from lbminion.netlink.message import Message, Refusal, attribute, attributes, frame, refusal, split

messages = st.builds(
    Message,
    type=st.integers(0, 2**16 - 1),
    flags=st.integers(0, 2**16 - 1),
    sequence=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=40),
)


@given(st.lists(messages, max_size=5))
def test_messages_of_one_datagram_are_read_back_in_order(several: list[Message]) -> None:
    assert list(split(b"".join(frame(*one) for one in several))) == several


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=20), max_size=5), st.binary(max_size=8))
def test_attributes_are_read_back_behind_a_header(fields: dict[int, bytes], header: bytes) -> None:
    data = header + b"".join(attribute(kind, value) for kind, value in fields.items())
    assert attributes(data, len(header)) == fields


def test_the_nested_flag_of_an_attribute_is_no_part_of_its_type() -> None:
    assert attributes(attribute(1 | 0x8000, b"x")) == {1: b"x"}


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (lambda: list(split(data)), lambda: attributes(data)):
        try:
            read()
        except BadKernelMessage:
            continue


@given(messages.filter(lambda one: len(one.payload) > 0), st.data())
def test_a_datagram_that_is_cut_short_is_refused(one: Message, data: st.DataObject) -> None:
    whole = frame(*one)
    length = 16 + len(one.payload)
    with pytest.raises(BadKernelMessage):
        list(split(whole[: data.draw(st.integers(1, length - 1))]))


def test_lengths_that_lie_are_refused_and_do_not_loop() -> None:
    for length in (0, 3, 15, 17, 2**32 - 1):
        with pytest.raises(BadKernelMessage):
            list(split(struct.pack("=IHHII", length, 0, 0, 0, 0)))
    for length in (0, 3, 5, 2**16 - 1):
        with pytest.raises(BadKernelMessage):
            attributes(struct.pack("=HH", length, 1))


def test_an_acknowledgement_is_errno_zero() -> None:
    assert refusal(Message(message.ERROR, 0, 1, struct.pack("=i", 0) + bytes(16))) == Refusal(0, "")
    assert refusal(Message(message.DONE, 0, 1, b"")) == Refusal(0, "")
    assert refusal(Message(message.DONE, 0, 1, struct.pack("=i", 0))) == Refusal(0, "")


def test_an_error_has_the_errno_and_the_kernels_own_words() -> None:
    capped_with_text = 0x300
    payload = struct.pack("=i", -22) + bytes(16) + attribute(1, b"Invalid broadcast\0")
    assert refusal(Message(message.ERROR, capped_with_text, 1, payload)) == Refusal(22, "Invalid broadcast")
    assert refusal(Message(message.ERROR, 0, 1, payload)) == Refusal(22, "")
    assert refusal(Message(message.DONE, 0, 1, struct.pack("=i", -4))) == Refusal(4, "")


@pytest.mark.parametrize("payload", [b"", b"\0\0"])
def test_an_error_message_without_an_errno_is_refused(payload: bytes) -> None:
    with pytest.raises(BadKernelMessage):
        refusal(Message(message.ERROR, 0, 1, payload))
