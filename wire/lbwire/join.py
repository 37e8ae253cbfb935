"""What is said at the join endpoint: a new minion names itself, and learns whether it was accepted.

The joiner's key is the one that the CURVE handshake proved, so it stands in no message. The answer is not signed: the
joiner has pinned the CURVE key of the master that it asked, and learns the signing key from it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from .codec import pack, unpack
from .errors import Malformed
from .messages import Name, Text

LIMIT: Final = 4096
"""Bytes of a request: anybody may send one."""

SIGNING_KEY_BYTES: Final = 32
TOKEN_CHARACTERS: Final = 128
"""The longest token that a request can hold."""

Port = Annotated[int, Meta(ge=0, le=65535)]


class JoinRequest(msgspec.Struct, frozen=True):
    """A minion asks to be known as `name`; `token` is "" when it waits for an operator. Asking again does no harm."""

    name: Name
    token: Annotated[str, Meta(max_length=TOKEN_CHARACTERS)] = ""
    product: Annotated[str, Meta(max_length=128)] = ""


class JoinAnswer(msgspec.Struct, frozen=True):
    """The verdict; `text` is for the operator of the host.

    `signing_key` (Ed25519, raw, 32 bytes) and the ports are there once the minion is accepted, else empty and 0.
    """

    state: Literal["accepted", "pending", "rejected"]
    text: Text
    signing_key: bytes = b""
    broadcast_port: Port = 0
    uplink_port: Port = 0

    def __post_init__(self) -> None:
        if self.state == "accepted" and not (
            len(self.signing_key) == SIGNING_KEY_BYTES and self.broadcast_port and self.uplink_port
        ):
            raise ValueError("accepted, but without a signing key or a port")


Shape = TypeVar("Shape", JoinRequest, JoinAnswer)


def encode(message: JoinRequest | JoinAnswer) -> bytes:
    """Encode either message."""
    return pack(msgspec.to_builtins(message, builtin_types=(bytes,)))


def decode_request(raw: bytes) -> JoinRequest:
    """Decode a request; raises `Oversized` or `Malformed`."""
    return _decode(raw, JoinRequest)


def decode_answer(raw: bytes) -> JoinAnswer:
    """Decode an answer; raises `Oversized` or `Malformed`."""
    return _decode(raw, JoinAnswer)


def _decode(raw: bytes, shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(unpack(raw, limit=LIMIT), shape)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a message of the join endpoint: {error}") from error
