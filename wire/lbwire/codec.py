"""msgpack, in one place: bytes <-> plain values (dict, list, str, bytes, int, float, bool, None).

Limits are applied before anything is built from the bytes. What the plain values mean is the business of `envelope`
and `messages`.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from .errors import Malformed, Oversized

LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one message: the desired state of a role with some 20,000 destinations fits."""


def pack(value: Any) -> bytes:  # noqa: ANN401 - plain values of any shape
    """Encode plain values; raises `TypeError` for anything else."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(raw: bytes, *, limit: int = LIMIT) -> Any:  # noqa: ANN401 - plain values of any shape
    """Decode exactly one value that fills `raw`.

    Raises `Oversized` beyond `limit` bytes and `Malformed` for anything that is not plain msgpack: trailing bytes,
    truncation, extension types, keys that are not text, text that is not UTF-8, nesting beyond msgpack's own limit.
    """
    if len(raw) > limit:
        raise Oversized(f"{len(raw)} bytes, the limit is {limit}")
    try:
        return msgpack.unpackb(raw, raw=False, strict_map_key=True, max_ext_len=0)
    except (ValueError, RecursionError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise Malformed(f"not msgpack: {error or type(error).__name__}") from error
