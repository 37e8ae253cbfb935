"""Logging of both daemons: one line per record on standard error, where systemd's journal takes it."""

from __future__ import annotations

import logging
import os
import sys
from types import TracebackType
from typing import TypeAlias

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class OneLine(logging.Formatter):
    """Escapes what could act on a terminal or end a line: names and texts come from the network.

    A traceback keeps its lines: each of them is indented, so that none looks like a record.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Give the record's own line."""
        return _harmless(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - the base class's name
        """Give the traceback, whose last line may hold a text of a peer."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the base class's name
        """Give the stack."""
        return _indented(super().formatStack(stack_info))


def configure(level: str) -> None:
    """Set up the root logger; under systemd the journal adds the time, elsewhere we do."""
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(f"{stamp}%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _indented(text: str) -> str:
    return "\n".join(f"  {_harmless(line)}" for line in text.split("\n"))


def _harmless(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
