"""The daemons' log: whatever a text holds, a record is one line, and nothing in it acts on a terminal."""

from __future__ import annotations

import io
import logging

import pytest

from lbservice import log


def records(text: str, *, failing: bool = False) -> list[str]:
    """Log a text as the daemons do, and return the lines that come of it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log.OneLine("%(levelname)s %(name)s: %(message)s"))
    logger = logging.Logger("lbmaster.test")  # noqa: LOG001 - one that the process does not share
    logger.addHandler(handler)
    if not failing:
        logger.warning("a message of %s is refused", text)
    else:
        try:
            raise ValueError(text)  # noqa: TRY301 - to be caught
        except ValueError:
            logger.exception("it failed")
    return stream.getvalue().split("\n")[:-1]


@pytest.mark.parametrize(
    "text", ["a\nERROR lbmaster: forged", "a\r\x1b[2K", "a\u2028b", "\u202egnp.exe", "\x00", "\x9b31m"]
)
def test_a_record_is_one_harmless_line(text: str) -> None:
    """Line ends, escape sequences and what turns the direction of text are written as escapes."""
    (line,) = records(text)
    assert line.isprintable()
    assert line.startswith("WARNING lbmaster.test: a message of ")


def test_a_traceback_cannot_forge_a_record() -> None:
    """Its lines are indented, also those that an error's text brings."""
    first, *rest = records("bad\nERROR lbmaster.master: forged \x1b[31m", failing=True)
    assert first == "ERROR lbmaster.test: it failed"
    assert rest
    assert all(line.startswith("  ") and line.isprintable() for line in rest)
