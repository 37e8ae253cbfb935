"""What is told of messages that were dropped."""

from __future__ import annotations

import logging

import pytest

from lbmaster.refusals import TELL_SECONDS, TEXT_LIMIT, Refusals
from lbwire.errors import Malformed, Oversized
from lbwire.events import MessageRefused

LATER = 1000.0


def test_refusals_of_a_kind_are_counted_and_told_once() -> None:
    """With what the last of them said; another sender or reason is another kind."""
    refusals = Refusals()
    refusals.add("d1", Malformed("one"))
    refusals.add("d1", Malformed("two"))
    refusals.add("d1", Oversized("three"))
    refusals.add("d2", Malformed("four"))
    assert refusals.due(LATER) == [
        MessageRefused("malformed", "from d1: two", 2),
        MessageRefused("oversized", "from d1: three", 1),
        MessageRefused("malformed", "from d2: four", 1),
    ]
    assert refusals.due(LATER + TELL_SECONDS + 1) == []


def test_what_comes_soon_after_waits_for_the_next_time() -> None:
    """Counted anew."""
    refusals = Refusals()
    refusals.add("d1", Malformed("one"))
    assert refusals.due(LATER)
    refusals.add("d1", Malformed("two"))
    assert refusals.due(LATER + TELL_SECONDS) == []
    assert refusals.due(LATER + TELL_SECONDS + 0.1) == [MessageRefused("malformed", "from d1: two", 1)]


def test_a_flood_fills_neither_the_log_nor_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    """One warning until it is told, and a text of bounded length."""
    caplog.set_level(logging.WARNING, "lbmaster.refusals")
    refusals = Refusals()
    for _ in range(100):
        refusals.add("d1", Malformed("x" * 5000))
    (told,) = refusals.due(LATER)
    assert (told.count, len(told.text)) == (100, TEXT_LIMIT)
    assert len(caplog.records) == 1
    refusals.add("d1", Malformed("again"))
    assert len(caplog.records) == 2
