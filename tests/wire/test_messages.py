"""The typed messages of both sides: round trip, and what each side refuses or skips."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbwire.codec import pack
from lbwire.envelope import TYPES, Envelope
from lbwire.errors import Malformed, Oversized, Refused
from lbwire.messages import (
    MASTER_TYPES,
    Ack,
    Beacon,
    Event,
    Events,
    Examined,
    Figures,
    FromMaster,
    FromMinion,
    Hello,
    Holding,
    Planned,
    Position,
    Reconcile,
    Reconciled,
    Release,
    Role,
    Rotate,
    Sample,
    State,
    Step,
    Successor,
    Symptom,
    Trial,
    decode,
    encode,
    open_payload,
    payload,
)

NAMES = st.from_regex(r"\A[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")
NUMBERS = st.integers(0, 2**63 - 1)
TEXTS = st.text(max_size=100)
TIMES = st.floats(allow_nan=False, allow_infinity=False)
HOSTS = st.lists(NAMES, max_size=3).map(tuple)
DATA = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
)
HOLDINGS = st.dictionaries(NAMES, st.builds(Holding, NUMBERS, NUMBERS, NUMBERS), max_size=2)
STEPS = st.lists(st.builds(Step, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), max_size=3).map(tuple)
FIGURES = st.builds(Figures, TEXTS, *[st.integers(0, 2**64 - 1)] * 13)
EVENTS = st.builds(Event, NUMBERS, NUMBERS, st.sampled_from(["failover", "vrrp.split_brain"]), TIMES, TEXTS, DATA)

FROM_MASTER = st.one_of(
    st.builds(State, HOSTS, DATA),
    st.builds(Release, HOSTS),
    st.builds(Reconcile, TEXTS),
    st.builds(Trial, HOSTS, DATA),
    st.builds(Beacon, st.dictionaries(NAMES, st.builds(Position, NUMBERS, NUMBERS), max_size=3)),
    st.builds(Ack, NUMBERS, NUMBERS),
    st.builds(
        Successor, st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32), st.binary(min_size=40, max_size=40)
    ),
)
FROM_MINION = st.one_of(
    st.builds(Hello, TEXTS, TEXTS, NUMBERS, NUMBERS, HOLDINGS),
    st.builds(Events, NUMBERS, NUMBERS, st.lists(EVENTS, max_size=3).map(tuple)),
    st.builds(
        Sample,
        TIMES,
        HOLDINGS,
        st.dictionaries(TEXTS, st.builds(Role, TEXTS, st.integers(0, 255), st.lists(TEXTS).map(tuple)), max_size=2),
        st.integers(0, 100),
        st.lists(FIGURES, max_size=2).map(tuple),
        st.lists(FIGURES, max_size=2).map(tuple),
        TEXTS,
        NUMBERS,
        st.booleans(),
        st.lists(TEXTS, max_size=2).map(tuple),
    ),
    st.builds(Planned, NAMES, NUMBERS, STEPS, TEXTS),
    st.builds(Rotate, st.binary(min_size=40, max_size=40)),
    st.builds(Reconciled, NAMES, NUMBERS, STEPS, NUMBERS),
    st.builds(
        Examined,
        NAMES,
        NUMBERS,
        st.lists(st.builds(Symptom), max_size=2).map(tuple),
        st.dictionaries(st.text(), st.text()),
    ),
)
HELLO = Hello("0.1.0", "2.2.7", 1, 1, {"web": Holding(1, 1, 1)})


def envelope(message: FromMaster) -> Envelope:
    kind = next(kind for kind, shape in MASTER_TYPES.items() if type(message) is shape)
    return Envelope(kind, "web", "cluster", 1, 1, payload(message))


def test_every_type_of_envelope_has_a_shape() -> None:
    """What may be sealed can be opened."""
    assert set(MASTER_TYPES) == TYPES


@given(FROM_MASTER)
def test_a_masters_message_comes_back(message: FromMaster) -> None:
    """Equal and of the same type."""
    assert open_payload(envelope(message)) == message


@given(FROM_MINION)
def test_a_minions_message_comes_back(message: FromMinion) -> None:
    """Equal and of the same type."""
    assert decode(encode(message)) == message


@given(FROM_MASTER)
def test_a_payload_has_one_form(message: FromMaster) -> None:
    """Decoded and encoded again it is the same bytes, so its digest says what it is."""
    assert payload(open_payload(envelope(message))) == payload(message)


@given(st.binary(max_size=200))
def test_any_bytes_of_a_minion_are_decoded_or_refused(raw: bytes) -> None:
    """Nothing an accepted minion sends raises anything but a refusal."""
    try:
        decode(raw)
    except Refused as refusal:
        assert refusal.reason == "malformed"


@given(FROM_MINION, st.data())
def test_a_damaged_message_of_a_minion_is_decoded_or_refused(message: FromMinion, data: st.DataObject) -> None:
    """It is not signed: damage may go unnoticed here (CURVE notices), but never raises anything else."""
    damaged = bytearray(encode(message))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        decode(bytes(damaged))
    except Refused as refusal:
        assert refusal.reason == "malformed"


def test_a_newer_minions_fields_are_skipped() -> None:
    """An older master understands what it knows of them."""
    plain = msgspec.to_builtins(HELLO) | {"colour": "blue"}
    assert decode(pack(plain)) == HELLO


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "execute"},
        {"type": None},
        {"boot": -1},
        {"boot": 2**63},
        {"sequence": 1.5},
        {"sequence": "1"},
        {"product": None},
        {"product": "x" * 4097},
        {"holdings": []},
        {"holdings": {"../web": {"staged": 1, "applied": 1, "command": 1}}},
        {"holdings": {"web\n": {"staged": 1, "applied": 1, "command": 1}}},
        {"holdings": {"": {"staged": 1, "applied": 1, "command": 1}}},
        {"holdings": {"web": {"staged": 1, "applied": 1}}},
    ],
)
def test_a_wrong_field_of_a_minion_is_malformed(changed: dict[str, object]) -> None:
    """Types, ranges and names are checked before anybody acts on them."""
    with pytest.raises(Malformed):
        decode(pack(msgspec.to_builtins(HELLO) | changed))


@pytest.mark.parametrize("event_type", ["", "Failover", "vrrp.", "vrrp.x.y", "failover\n", "x" * 65, "../x", 7])
def test_an_event_type_that_is_no_word_is_malformed(event_type: object) -> None:
    """Types stand in filters and metrics."""
    event = {"boot": 1, "sequence": 1, "type": event_type, "time": 0.0, "cluster": "", "data": {}}
    with pytest.raises(Malformed):
        decode(pack({"type": "events", "after_boot": 0, "after_sequence": 0, "events": [event]}))


def test_an_oversized_message_of_a_minion_is_refused() -> None:
    """The limit is the receiver's to set."""
    with pytest.raises(Oversized):
        decode(encode(HELLO), limit=20)


@pytest.mark.parametrize("raw", [b"", pack([]), pack("hello"), pack({}), pack({"type": "hello"})])
def test_what_is_no_message_is_malformed(raw: bytes) -> None:
    """Not even a type, or nothing but a type."""
    with pytest.raises(Malformed):
        decode(raw)
