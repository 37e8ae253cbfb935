"""CURVE keys on disk, and their fingerprints."""

import stat
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from lbservice.keys import CurvePair, fingerprint, from_fingerprint, load_or_make_curve

KEY = z85.encode(bytes(range(32)))


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """The second start finds what the first one made, and nobody else can read it."""
    first = load_or_make_curve(tmp_path / "curve")
    assert load_or_make_curve(tmp_path / "curve") == first
    assert zmq.curve_public(first.secret) == first.public
    assert stat.S_IMODE((tmp_path / "curve").stat().st_mode) == 0o600


def test_a_secret_is_not_shown() -> None:
    """Representations end up in logs."""
    pair = CurvePair(*zmq.curve_keypair())
    assert pair.secret.decode() not in repr(pair)
    assert pair.public.decode() in repr(pair)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"x" * 39, b"x" * 41, b"\xff" * 40, b'"' * 40, b"secret key of another program"]
)
def test_a_file_that_holds_no_key_is_told_and_kept(tmp_path: Path, content: bytes) -> None:
    """A broken key is not replaced by a new identity in silence."""
    (tmp_path / "curve").write_bytes(content)
    with pytest.raises(ValueError, match="holds no CURVE key; move it away"):
        load_or_make_curve(tmp_path / "curve")
    assert (tmp_path / "curve").read_bytes() == content


def test_a_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """The operator is told the path."""
    with pytest.raises(OSError, match="missing"):
        load_or_make_curve(tmp_path / "missing" / "curve")


@given(st.binary(min_size=32, max_size=32))
def test_a_fingerprint_is_the_key(raw: bytes) -> None:
    """52 characters that a shell leaves alone, and back."""
    public = z85.encode(raw)
    text = fingerprint(public)
    assert len(text) == 52
    assert text.isalnum()
    assert text == text.lower()
    assert from_fingerprint(text) == public


def test_a_fingerprint_may_be_typed_as_people_type() -> None:
    """In capitals, in groups, with blanks around it."""
    text = fingerprint(KEY).upper()
    assert from_fingerprint(f"  {text[:26]}-{text[26:]}\n") == KEY


@given(st.integers(0, 51), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_mistyped_fingerprint_is_never_the_same_key(place: int, character: str) -> None:
    """A wrong character gives another key or an error, also at the end where not all of its bits count."""
    text = fingerprint(KEY)
    wrong = text[:place] + character + text[place + 1 :]
    try:
        assert (from_fingerprint(wrong) == KEY) == (wrong == text)
    except ValueError as error:
        assert "last character" in str(error)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 characters, not 52"),
        (fingerprint(KEY)[:-1], "51 characters, not 52"),
        (fingerprint(KEY) + "a", "53 characters, not 52"),
        (fingerprint(KEY)[:-1] + "1", "letters a-z and the digits 2-7"),
        (fingerprint(KEY)[:-1] + "é", "letters a-z and the digits 2-7"),
        (fingerprint(KEY)[:-1] + "=", "letters a-z and the digits 2-7"),
        (KEY.decode(), "letters a-z and the digits 2-7"),
    ],
)
def test_what_is_no_fingerprint_is_told(text: str, why: str) -> None:
    """Too short, too long, other characters: each with its reason."""
    with pytest.raises(ValueError, match=why):
        from_fingerprint(text)
