"""The envelope: what was signed comes back, and nothing else does."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from lbwire.codec import LIMIT, pack, unpack
from lbwire.envelope import DOMAIN, TYPES, VERSION, Envelope, key_id, seal, unseal
from lbwire.errors import BadSignature, Malformed, Oversized, Refused, UnknownKey, UnknownType, UnknownVersion

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
FOREIGN = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
SMALL = Envelope("release", "web", "cluster", 7, 9, b"\x80")

ENVELOPES = st.builds(
    Envelope,
    type=st.sampled_from(sorted(TYPES)),
    cluster=st.just("") | st.from_regex(r"\A[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z"),
    audience=st.text(max_size=40),
    generation=st.integers(0, 2**63 - 1),
    command=st.integers(0, 2**63 - 1),
    payload=st.binary(max_size=300),
)


def frame(
    signed: bytes, *, version: object = VERSION, key: Ed25519PrivateKey = KEY, domain: bytes = DOMAIN
) -> list[object]:
    return [version, key_id(key.public_key()), signed, key.sign(domain + signed)]


def fields(**changed: object) -> list[object]:
    plain = {
        "type": "release",
        "cluster": "web",
        "audience": "cluster",
        "generation": 7,
        "command": 9,
        "payload": b"\x80",
    }
    return list((plain | changed).values())


@given(ENVELOPES)
def test_what_was_sealed_comes_back(envelope: Envelope) -> None:
    """Every field, and the payload's bytes, as they were."""
    assert unseal(seal(envelope, KEY), KEYS) == envelope


def test_every_single_flipped_bit_is_refused() -> None:
    """Exhaustively, over each bit of a small message."""
    raw = seal(SMALL, KEY)
    for bit in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            unseal(bytes(damaged), KEYS)


@given(ENVELOPES, st.data())
def test_a_flipped_bit_anywhere_is_refused(envelope: Envelope, data: st.DataObject) -> None:
    """In any message, at any place."""
    damaged = bytearray(seal(envelope, KEY))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refused):
        unseal(bytes(damaged), KEYS)


@given(ENVELOPES, st.data())
def test_truncated_is_malformed(envelope: Envelope, data: st.DataObject) -> None:
    """At whatever length it was cut."""
    raw = seal(envelope, KEY)
    with pytest.raises(Malformed):
        unseal(raw[: data.draw(st.integers(0, len(raw) - 1))], KEYS)


@given(st.binary(max_size=300))
def test_rubbish_is_refused(raw: bytes) -> None:
    """No bytes that we did not sign pass, and none raise anything but a refusal."""
    with pytest.raises(Refused):
        unseal(raw, KEYS)


def test_a_foreign_key_is_refused_by_name() -> None:
    """Another master's messages are told from forged ones."""
    with pytest.raises(UnknownKey, match=key_id(FOREIGN.public_key()).hex()):
        unseal(seal(SMALL, FOREIGN), KEYS)


def test_a_foreign_signature_under_our_key_id_is_forged() -> None:
    """Naming a trusted key does not help who has not got it."""
    forged = frame(pack(fields()), key=FOREIGN)
    forged[1] = key_id(KEY.public_key())
    with pytest.raises(BadSignature):
        unseal(pack(forged), KEYS)


@pytest.mark.parametrize("domain", [b"", b"lbmaster envelope 2\x00", b"lbmaster envelope 1"])
def test_a_signature_made_for_something_else_is_refused(domain: bytes) -> None:
    """The domain tag keeps other uses of the key apart."""
    with pytest.raises(BadSignature):
        unseal(pack(frame(pack(fields()), domain=domain)), KEYS)


@pytest.mark.parametrize("version", [0, 2, 255, True, 1.0, "1", None, [1]])
def test_another_version_is_refused_before_the_key_is_looked_at(version: object) -> None:
    """Downgraded, upgraded, or looking like ours in another type."""
    with pytest.raises(UnknownVersion):
        unseal(pack(frame(pack(fields()), version=version, key=FOREIGN)), KEYS)


def test_an_unknown_type_is_refused_though_it_is_signed() -> None:
    """A newer master may say what this side does not know."""
    with pytest.raises(UnknownType, match="'execute'"):
        unseal(pack(frame(pack(fields(type="execute")))), KEYS)


def test_oversized_is_refused() -> None:
    """Before anything of it is decoded."""
    raw = seal(SMALL, KEY)
    assert unseal(raw, KEYS, limit=len(raw)) == SMALL
    with pytest.raises(Oversized):
        unseal(raw, KEYS, limit=len(raw) - 1)


@pytest.mark.parametrize(
    "raw",
    [
        pack(None),
        pack([]),
        pack({"version": 1}),
        pack([VERSION]),
        pack(frame(pack(fields()))[:3]),
        pack([*frame(pack(fields())), b""]),
        pack([VERSION, "key", b"", b""]),
        pack([VERSION, b"", "signed", b""]),
        pack([[[]] * 20, b"", b"", b""]),
        pack([None] * 17),
    ],
)
def test_what_is_no_frame_is_malformed(raw: bytes) -> None:
    """Fields missing, too many, or of another type."""
    with pytest.raises(Malformed):
        unseal(raw, KEYS)


@pytest.mark.parametrize(
    "signed",
    [
        pack(fields(type=7)),
        pack(fields(cluster=None)),
        pack(fields(cluster="Not A Name")),
        pack(fields(cluster="web\n")),
        pack(fields(cluster="../web")),
        pack(fields(audience=b"cluster")),
        pack(fields(generation=-1)),
        pack(fields(generation=2**63)),
        pack(fields(command=2**64 - 1)),
        pack(fields(generation=7.0)),
        pack(fields(generation=True)),
        pack(fields(payload="gA==")),
        pack([*fields(), 1]),
        pack(fields()[:-1]),
        pack({"type": "release"}),
        b"",
        b"\xc1",
        b"\x91" * 600 + b"\x90",
        pack([[]] * 17),
    ],
)
def test_signed_rubbish_is_malformed(signed: bytes) -> None:
    """A good signature does not make a message of what is none."""
    with pytest.raises(Malformed):
        unseal(pack(frame(signed)), KEYS)


def test_another_encoding_of_what_was_signed_is_malformed() -> None:
    """The signed fields have one form: here a number is written in more bytes than it needs."""
    long_number = pack(fields()).replace(b"\x07\x09", b"\xcc\x07\x09")
    assert unpack(long_number) == fields()
    with pytest.raises(Malformed, match="canonical"):
        unseal(pack(frame(long_number)), KEYS)


def test_another_encoding_of_the_frame_is_malformed() -> None:
    """A genuine message cannot be made into a second one that is accepted as well."""
    raw = seal(SMALL, KEY)
    for other in (b"\xdc\x00\x04" + raw[1:], raw[:1] + b"\xcc\x01" + raw[2:], raw[:2] + b"\xc5\x00\x08" + raw[4:]):
        assert unpack(other) == unpack(raw)
        with pytest.raises(Malformed, match="canonical"):
            unseal(other, KEYS)


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope("execute", "web", "cluster", 1, 1, b""),
        Envelope("state", "web", "cluster", -1, 1, b""),
        Envelope("state", "web", "cluster", 1, 2**63, b""),
        Envelope("state", "Not A Name", "cluster", 1, 1, b""),
        Envelope("state", "web", "cluster", 1, 1, b"x" * LIMIT),
    ],
)
def test_what_no_receiver_would_accept_is_not_sealed(envelope: Envelope) -> None:
    """The sender learns of it first."""
    with pytest.raises(ValueError, match=r"unknown message type|numbers from|no cluster's name|the limit is"):
        seal(envelope, KEY)
