"""msgpack, in one place: bytes <-> plain values (dict, list, str, bytes, int, float, bool, None).

The size limit is applied before anything is built from the bytes. What the plain values mean is the business of
`envelope` and `messages`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias

import msgpack

from .errors import Malformed, Oversized

LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one message: the desired state of a role with some 20,000 destinations fits."""

DEPTH: Final = 32
"""Containers inside containers: our messages need 8, and encoders further on must never meet their recursion limit."""

CONTAINERS: Final = 250_000
"""Lists and maps in one message, and members of one of them: a role with 20,000 destinations has 30,000. In memory a
list or map takes sixty times its byte on the wire and more."""

# The first bytes of a float64 or float32 that is NaN or infinite. Text may hold them too, so a hit is only a suspicion;
# without one nothing has to be looked at value by value.
_SUSPECT: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]|\xca[\x7f\xff][\x80-\xff]", re.DOTALL)


Container: TypeAlias = dict[object, object] | list[object]

_TEXT: Final = frozenset({str})


def pack(value: Any) -> bytes:  # noqa: ANN401 - plain values of any shape
    """Encode plain values.

    Raises `TypeError` for anything else, and `ValueError` (or its kin `OverflowError`) for a number that no receiver
    would take: NaN, infinite, or beyond 64 bits.
    """
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    if _SUSPECT.search(packed) and not _all_finite(msgpack.unpackb(packed, raw=False)):
        raise ValueError("NaN and infinity cannot be sent")
    return packed


def unpack(raw: bytes, *, limit: int = LIMIT, containers: int = CONTAINERS) -> Any:  # noqa: ANN401 - plain values of any shape
    """Decode exactly one value that fills `raw`.

    Raises `Oversized` beyond `limit` bytes and `Malformed` for anything that is not plain msgpack: trailing bytes,
    truncation, extension types, keys that are not text, text that is not UTF-8, NaN and infinity, containers nested
    deeper than `DEPTH`, and more than `containers` of them, or members in one of them.
    """
    if len(raw) > limit:
        raise Oversized(f"{len(raw)} bytes, the limit is {limit}")
    try:
        value = msgpack.unpackb(
            raw,
            raw=False,
            ext_hook=_refuse_extension,
            max_ext_len=0,
            max_array_len=containers,
            max_map_len=containers,
            # Each takes a byte at least, so that there is nothing to count in what is short.
            **(_counting(containers) if len(raw) > containers else {}),
        )
    except (ValueError, RecursionError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise Malformed(f"not msgpack: {error or type(error).__name__}") from error
    _check_shape(value)
    if _SUSPECT.search(raw) and not _all_finite(value):
        raise Malformed("a number is NaN or infinite")
    return value


def _refuse_extension(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code}")


def _counting(most: int) -> dict[str, Callable[[Container], Container]]:
    """Make hooks that end the decoding when there are too many containers, before all of them are built."""
    left = iter(range(most))

    def count(container: Container) -> Container:
        if next(left, None) is None:
            raise ValueError(f"more than {most} lists and maps")
        return container

    return {"list_hook": count, "object_hook": count}


def _check_shape(value: object) -> None:
    level = _containers([value])
    for _ in range(DEPTH):
        if not level:
            return
        for container in level:
            if type(container) is dict and set(map(type, container)) - _TEXT:
                raise Malformed("a key that is not text")
        level = [inner for container in level for inner in _containers(_members(container))]
    if level:
        raise Malformed(f"nested deeper than {DEPTH}")


def _all_finite(value: object) -> bool:
    level: list[object] = [value]
    while level:
        if not all(math.isfinite(inner) for inner in level if isinstance(inner, float)):
            return False
        level = [inner for container in _containers(level) for inner in _members(container)]
    return True


# By exact type, since this is asked of every value of every event; msgpack makes no subclasses.
def _containers(values: Iterable[object]) -> list[Container]:
    return [value for value in values if type(value) is dict or type(value) is list]


def _members(container: Container) -> Iterable[object]:
    return container.values() if isinstance(container, dict) else container
