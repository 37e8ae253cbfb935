"""The schemas of events: every type comes back as it went, and strangers are refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbwire.codec import pack, unpack
from lbwire.event_types import EVENT_TYPES, decode_data, encode_data
from lbwire.events import Data
from lbwire.messages import Event

ANY_DATA = st.sampled_from(sorted(EVENT_TYPES)).flatmap(lambda name: st.from_type(EVENT_TYPES[name]))


@given(ANY_DATA)
def test_data_comes_back(data: Data) -> None:
    """Through plain values, and through the wire where its numbers may travel."""
    plain = encode_data(data)
    assert decode_data(data.TYPE, plain) == data or "nan" in repr(data)


@given(ANY_DATA)
def test_data_survives_the_wire(data: Data) -> None:
    """Lists for tuples and all."""
    try:
        raw = pack(encode_data(data))
    except (ValueError, OverflowError):
        return
    assert decode_data(data.TYPE, unpack(raw)) == data


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_type_is_a_word_that_an_event_may_have(name: str) -> None:
    """The table and the message agree on what a type looks like."""
    plain: dict[str, Any] = {"boot": 1, "sequence": 1, "type": name, "time": 0.0, "cluster": "", "data": {}}
    assert msgspec.convert(plain, Event).type == name


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_type_is_documented(name: str) -> None:
    """The docstring is what the reference says."""
    documented = EVENT_TYPES[name].__doc__
    assert documented
    assert documented.strip().endswith(".")


def test_no_event_is_left_out() -> None:
    """Events live in several modules: one that is not in the table could not be read."""
    kinds = list(Data.__subclasses__())
    for kind in kinds:
        kinds += kind.__subclasses__()
    written = {kind for kind in kinds if hasattr(kind, "TYPE") and kind.__module__.startswith("lbwire.")}
    assert written == set(EVENT_TYPES.values())


def test_an_unknown_type_is_told() -> None:
    """A newer minion's event is kept as it is by those who cannot read it."""
    with pytest.raises(KeyError):
        decode_data("vrrp.invented", {})


@pytest.mark.parametrize("plain", [{}, {"instance": 1}, {"instance": "web", "state": "MASTER"}])
def test_data_of_another_shape_is_told(plain: dict[str, Any]) -> None:
    """A field that is missing or of another type does not pass for the event."""
    with pytest.raises(msgspec.ValidationError):
        decode_data("vrrp.transition", plain)


def test_a_field_that_was_added_later_is_skipped() -> None:
    """Fields may be added: older readers go on reading."""
    plain = {"product": "0.1.0"}
    assert encode_data(decode_data("minion.started", plain | {"colour": "blue"})) == plain
