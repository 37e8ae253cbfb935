"""msgpack in and out: what is plain passes unchanged, everything else is refused by name."""

import math

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbwire.codec import CONTAINERS, DEPTH, pack, unpack
from lbwire.errors import Malformed, Oversized, Refused

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@given(PLAIN)
def test_plain_values_come_back_as_they_went(value: object) -> None:
    """Whatever may travel comes back equal, and of the same type."""
    assert unpack(pack(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    """No bytes raise anything but a refusal."""
    try:
        unpack(raw)
    except Refused as refusal:
        assert refusal.reason in {"malformed", "oversized"}


@given(PLAIN, st.data())
def test_truncated_bytes_are_malformed(value: object, data: st.DataObject) -> None:
    """A message that lost its end is refused."""
    raw = pack(value)
    with pytest.raises(Malformed):
        unpack(raw[: data.draw(st.integers(0, len(raw) - 1))])


@given(PLAIN, st.binary(min_size=1, max_size=8))
def test_trailing_bytes_are_malformed(value: object, more: bytes) -> None:
    """Nothing can be hidden behind a message."""
    with pytest.raises(Malformed):
        unpack(pack(value) + more)


def test_oversized_is_told_before_it_is_decoded() -> None:
    """The limit holds for bytes that are no msgpack either; at the limit a message passes."""
    with pytest.raises(Oversized, match="11 bytes, the limit is 10"):
        unpack(b"\xc1" * 11, limit=10)
    assert unpack(pack("x" * 9), limit=10) == "x" * 9


@pytest.mark.parametrize("number", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("single", [False, True])
def test_numbers_that_are_none_are_malformed(number: float, *, single: bool) -> None:
    """NaN and infinity break comparisons and JSON further on, however deep they sit and in either width."""
    with pytest.raises(Malformed, match="NaN or infinite"):
        unpack(msgpack.packb({"a": [1, {"b": number}]}, use_single_float=single))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_are_none_are_not_sent(number: float) -> None:
    """The sender learns of it where the mistake is."""
    with pytest.raises(ValueError, match="cannot be sent"):
        pack({"seconds": number})


@pytest.mark.parametrize("value", [b"\xcb\x7f\xf8" * 3, [b"\xca\xff\xff\xff\xff", 1.5]])
def test_bytes_that_look_like_nan_pass(value: object) -> None:
    """The quick look for NaN only raises a suspicion."""
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_integers_beyond_64_bits_are_not_sent(number: int) -> None:
    """msgpack has no form for them."""
    with pytest.raises(OverflowError):
        pack(number)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j])
def test_what_is_not_plain_is_not_sent(value: object) -> None:
    """Only plain values travel."""
    with pytest.raises(TypeError):
        pack(value)


@pytest.mark.parametrize("depth", [DEPTH + 1, 600, 2000])
def test_deep_nesting_is_malformed(depth: int) -> None:
    """Depth is bounded well below every recursion limit."""
    with pytest.raises(Malformed):
        unpack(b"\x91" * (depth - 1) + b"\x90")


@pytest.mark.parametrize("member", [[], {}, [[]], {"a": 1}])
def test_too_many_containers_are_malformed(member: object) -> None:
    """However few bytes they take: in memory they take sixty times as many."""
    half = [member] * (CONTAINERS // 2 + 1)
    with pytest.raises(Malformed, match=f"more than {CONTAINERS}|exceeds"):
        unpack(pack([half, half]))
    with pytest.raises(Malformed, match=f"exceeds max_array_len\\({CONTAINERS}"):
        unpack(pack([None] * (CONTAINERS + 1)))


def test_as_many_containers_as_there_may_be_pass() -> None:
    """The bound is exact: the outer list is one of them."""
    assert unpack(pack([[]] * (CONTAINERS - 1))) == [[]] * (CONTAINERS - 1)
    assert unpack(pack([[], {}]), containers=3) == [[], {}]
    with pytest.raises(Malformed, match="more than 2"):
        unpack(pack([[], {}]), containers=2)


def test_nesting_up_to_the_limit_passes() -> None:
    """The bound is exact."""
    assert unpack(pack(nested(DEPTH))) == nested(DEPTH)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        b"\xc7\x00\x05",
        b"\xd4\x05x",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xa2\xff\xfe",
        b"\x81\x01\x02",
        b"\x81\xc4\x01k\x02",
        b"\x91\x81\xc0\x02",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ],
    ids=[
        "empty",
        "reserved byte",
        "empty extension",
        "extension",
        "timestamp",
        "text not UTF-8",
        "number as key",
        "bytes as key",
        "nil as key, inside",
        "list of 4 billion",
        "bytes of 4 billion",
    ],
)
def test_what_is_not_plain_is_malformed(raw: bytes) -> None:
    """Each form that msgpack has and we have not is refused."""
    with pytest.raises(Malformed):
        unpack(raw)
