"""Key pairs on disk: CURVE (ZeroMQ's transport) and Ed25519 (signatures)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq
from zmq.utils import z85

from .files import write_atomically

FINGERPRINT_CHARACTERS: Final = 52


@dataclass(frozen=True, slots=True)
class CurvePair:
    """Both halves in ZeroMQ's printable form (Z85, 40 bytes)."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"CurvePair(public={self.public!r})"


def load_or_make_curve(path: Path) -> CurvePair:
    """Read the secret key at `path`, or make a pair and keep it there (0600).

    Raises `OSError`, or `ValueError` for a file that holds no key.
    """
    if not path.exists():
        public, secret = zmq.curve_keypair()
        write_atomically(path, secret + b"\n")
        return CurvePair(public, secret)
    secret = path.read_bytes().strip()
    try:
        return CurvePair(zmq.curve_public(secret), secret)
    except (ValueError, zmq.ZMQError) as error:
        raise ValueError(f"{path} holds no CURVE key; move it away, and a new one is made") from error


def fingerprint(public: bytes) -> str:
    """Write a CURVE public key (Z85) for people and shells: 52 characters of lower-case base32.

    It is the whole key and not a digest of it: who has typed the fingerprint of a server can speak to that server.
    """
    return base64.b32encode(z85.decode(public)).decode().rstrip("=").lower()


def from_fingerprint(text: str) -> bytes:
    """Turn a fingerprint back into the key (Z85); raises `ValueError` that says what is wrong."""
    cleaned = text.strip().replace("-", "").lower()
    if not re.fullmatch("[a-z2-7]*", cleaned):
        raise ValueError(f"{text!r} is no fingerprint: one has only the letters a-z and the digits 2-7")
    if len(cleaned) != FINGERPRINT_CHARACTERS:
        raise ValueError(f"{text!r} is no fingerprint: it has {len(cleaned)} characters, not {FINGERPRINT_CHARACTERS}")
    public: bytes = z85.encode(base64.b32decode(cleaned.upper() + "===="))
    if fingerprint(public) != cleaned:
        raise ValueError(f"{text!r} is no fingerprint: its last character cannot stand there")
    return public
