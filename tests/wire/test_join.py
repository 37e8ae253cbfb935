"""What is said at the join endpoint, where anybody may speak: round trip, and what is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbwire.codec import pack
from lbwire.errors import Malformed, Oversized, Refused
from lbwire.join import LIMIT, JoinAnswer, JoinRequest, decode_answer, decode_request, encode
from lbwire.topics import NAME

REQUESTS = st.builds(JoinRequest, st.from_regex(rf"\A{NAME}\Z"), st.text(max_size=128), st.text(max_size=128))
PORTS = st.integers(1, 65535)
ANSWERS = st.builds(
    JoinAnswer, st.just("accepted"), st.text(max_size=200), st.binary(min_size=32, max_size=32), PORTS, PORTS
) | st.builds(JoinAnswer, st.sampled_from(["pending", "rejected"]), st.text(max_size=200))
ACCEPTED = JoinAnswer("accepted", "welcome", bytes(32), 7411, 7412)


@given(REQUESTS)
def test_a_request_comes_back(request: JoinRequest) -> None:
    """Equal, whatever stands in it."""
    assert decode_request(encode(request)) == request


@given(ANSWERS)
def test_an_answer_comes_back(answer: JoinAnswer) -> None:
    """With the key's bytes as they were."""
    assert decode_answer(encode(answer)) == answer


@given(st.binary(max_size=200))
def test_rubbish_is_refused(raw: bytes) -> None:
    """Strangers can make no more than a refusal."""
    for decode in (decode_request, decode_answer):
        with pytest.raises(Refused):
            decode(raw)


def test_an_oversized_request_is_refused() -> None:
    """A stranger cannot make us decode much."""
    with pytest.raises(Oversized):
        decode_request(b"\x00" * (LIMIT + 1))


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": "../etc"},
        {"name": "Netology1"},
        {"name": "netology1\n"},
        {"name": "n" * 64},
        {"name": 1},
        {"token": None},
        {"token": "t" * 129},
        {"product": "p" * 129},
    ],
)
def test_a_wrong_field_of_a_request_is_malformed(changed: dict[str, object]) -> None:
    """Names end up in file names and on terminals."""
    with pytest.raises(Malformed):
        decode_request(pack(msgspec.to_builtins(JoinRequest("netology1")) | changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "welcome"},
        {"signing_key": b""},
        {"signing_key": bytes(31)},
        {"signing_key": bytes(33)},
        {"broadcast_port": 0},
        {"uplink_port": 65536},
        {"uplink_port": -1},
        {"text": "t" * 4097},
    ],
)
def test_a_wrong_field_of_an_answer_is_refused(changed: dict[str, object]) -> None:
    """Who is accepted can begin: the key is a key, and the ports are ports."""
    plain = msgspec.to_builtins(ACCEPTED, builtin_types=(bytes,))
    with pytest.raises(Refused):
        decode_answer(pack(plain | changed))
