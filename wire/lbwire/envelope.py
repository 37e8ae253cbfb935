"""The envelope around everything that a master sends: versioned, addressed, numbered and signed.

On the wire it is the msgpack list `[version, key id, signed, signature]`, where `signed` is the msgpack list
`[type, cluster, audience, generation, command, payload]` as bytes. The signature (Ed25519) covers a domain tag and
`signed` exactly as it travels; nothing inside `signed` is decoded before the signature is known to be good.
An encoding that is not the one we would have made is refused, so a message has one form only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .codec import LIMIT, pack, unpack
from .errors import BadSignature, Malformed, UnknownKey, UnknownType, UnknownVersion
from .topics import NAME

VERSION: Final = 1
DOMAIN: Final = b"lbmaster envelope 1\x00"
"""Keeps a signature made for another purpose with the same key from passing as an envelope's."""

TYPES: Final = frozenset({"state", "release", "reconcile", "trial", "examine", "beacon", "ack", "successor"})

KEY_ID_BYTES: Final = 8
NUMBER_LIMIT: Final = 2**63

_FRAME_FIELDS: Final = 4
_MOST_FIELDS: Final = 16
"""Of a frame or of what is signed, in versions to come, too. What a stranger can send is not built before it is known."""


class Envelope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is signed. `cluster` is "" where a message concerns none; numbers that a type does not use are 0."""

    type: str
    cluster: str
    audience: str
    generation: int
    command: int
    payload: bytes


Keys = Mapping[bytes, Ed25519PublicKey]
"""Key id -> the public key of a master that is trusted."""


def key_id(key: Ed25519PublicKey) -> bytes:
    """Name a public key: the first 8 bytes of the SHA-256 of its raw form."""
    return hashlib.sha256(key.public_bytes_raw()).digest()[:KEY_ID_BYTES]


def seal(envelope: Envelope, key: Ed25519PrivateKey) -> bytes:
    """Encode and sign. Raises `ValueError` for an envelope that no receiver would accept."""
    if envelope.type not in TYPES:
        raise ValueError(f"unknown message type {envelope.type!r}")
    wrong = _wrong_with(envelope)
    if wrong:
        raise ValueError(wrong)
    signed = pack(msgspec.to_builtins(envelope, builtin_types=(bytes,)))
    raw = pack([VERSION, key_id(key.public_key()), signed, key.sign(DOMAIN + signed)])
    if len(raw) > LIMIT:
        raise ValueError(f"a message of {len(raw)} bytes, the limit is {LIMIT}")
    return raw


def unseal(raw: bytes, keys: Keys, *, limit: int = LIMIT) -> Envelope:
    """Check and decode one envelope; the payload stays bytes.

    Raises, in this order of checks: `Oversized`, `Malformed`, `UnknownVersion`, `UnknownKey`, `BadSignature`, and,
    for what was signed by a trusted key all the same, `Malformed` and `UnknownType`.
    """
    frame = unpack(raw, limit=limit, containers=_MOST_FIELDS)
    if not isinstance(frame, list) or not frame:
        raise Malformed("an envelope is a list")
    version = frame[0]
    if version != VERSION or type(version) is not int:
        raise UnknownVersion(f"version {version!r}, this side speaks {VERSION}")
    if len(frame) != _FRAME_FIELDS or not all(isinstance(field, bytes) for field in frame[1:]):
        raise Malformed("an envelope is [version, key id, signed, signature]")
    _, identifier, signed, signature = frame
    key = keys.get(identifier)
    if key is None:
        raise UnknownKey(f"signed with the key {identifier.hex()}, which is not trusted here")
    try:
        key.verify(signature, DOMAIN + signed)
    except InvalidSignature:
        raise BadSignature("the signature does not fit the message") from None
    return _decode(raw, frame, signed)


def signer(raw: bytes) -> bytes:
    """Tell which key signed an envelope that was verified: its id."""
    frame = unpack(raw)
    if not isinstance(frame, list) or len(frame) != _FRAME_FIELDS or not isinstance(frame[1], bytes):
        raise Malformed("an envelope is [version, key id, signed, signature]")
    return frame[1]


def _decode(raw: bytes, frame: list[object], signed: bytes) -> Envelope:
    try:
        envelope = msgspec.convert(unpack(signed, containers=_MOST_FIELDS), Envelope)
    except msgspec.ValidationError as error:
        raise Malformed(f"not an envelope: {error}") from error
    if pack(frame) != raw or pack(msgspec.to_builtins(envelope, builtin_types=(bytes,))) != signed:
        raise Malformed("not in canonical form")
    if envelope.type not in TYPES:
        raise UnknownType(f"message type {envelope.type!r}")
    wrong = _wrong_with(envelope)
    if wrong:
        raise Malformed(wrong)
    return envelope


def _wrong_with(envelope: Envelope) -> str:
    if not (0 <= envelope.generation < NUMBER_LIMIT and 0 <= envelope.command < NUMBER_LIMIT):
        return "generation and command are numbers from 0 to 2**63 - 1"
    if envelope.cluster and not re.fullmatch(NAME, envelope.cluster):
        return f"{envelope.cluster!r} is no cluster's name"
    return ""
