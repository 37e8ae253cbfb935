"""How keepalived.conf is laid out: lines, and blocks of lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

INDENT: Final = "    "


def block(head: str, body: Iterable[str]) -> Iterator[str]:
    """Write a block; nothing at all when there is nothing in it."""
    lines = list(body)
    if lines:
        yield f"{head} {{"
        yield from (INDENT + line for line in lines)
        yield "}"
