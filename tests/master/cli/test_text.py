from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmaster.cli import screen, sentences
from lbmaster.cli.page import Cell, Column, Line, Table
from lbmaster.cli.text import clock, count, duration, safe, seconds
from lbwire.event_types import EVENT_TYPES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({name for data in EVENT_TYPES.values() for name in data.__struct_fields__})


@given(st.text())
def test_safe_text_is_printable_and_one_line(text: str) -> None:
    """Whatever comes from the network."""
    assert safe(text).isprintable()


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_a_row_in_a_pipe_has_as_many_fields_as_columns(texts: list[str]) -> None:
    """No text can add a tab, a line, or an empty field."""
    table = Table((Column("A"), Column("B")), (tuple(Cell(text) for text in texts),))

    lines = list(screen.plain((table,)))

    assert len(lines) == 2
    fields = lines[1].split("\t")
    assert len(fields) == 2
    assert all(fields)


@given(st.sampled_from([*EVENT_TYPES, "of.tomorrow"]), st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON))
def test_a_sentence_never_fails(event_type: str, data: dict[str, Any]) -> None:
    """Data of any shape."""
    assert isinstance(sentences.sentence(event_type, data), str)
    assert sentences.tone_of(event_type, data) in screen.STYLES


def test_lines_for_the_terminal_only_are_not_in_a_pipe() -> None:
    """Hints would be in the way of a script."""
    assert list(screen.plain((Line("a"), Line("b", terminal_only=True)))) == ["a"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-1, "0 ms"), (0.0214, "21 ms"), (0.9999, "1.0 s"), (1.25, "1.2 s"), (59.97, "1 min"), (90, "2 min"),
     (7200, "2 h"), (200000, "2 d")],
)  # fmt: skip
def test_durations_have_the_digits_that_matter(value: float, expected: str) -> None:
    """Never "1000 ms" or "60.0 s"."""
    assert seconds(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90.0), ("90s", 90.0), ("15m", 900.0), (" 1h ", 3600.0), ("2d", 172800.0)]
)
def test_durations_are_read(text: str, expected: float) -> None:
    """Without a unit: seconds."""
    assert duration(text) == expected


def test_times_are_local_with_milliseconds_and_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's clock in the reader's time zone."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert clock(1700000000.25) == "2023-11-14T23:13:20.250+0100"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("unix", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_a_time_that_no_calendar_has_is_a_dash(unix: float) -> None:
    """Never an error."""
    assert clock(unix) == "-"


def test_counts_are_in_the_right_number() -> None:
    """1 host, 2 hosts."""
    assert (count(1, "host"), count(2, "host"), count(0, "host")) == ("1 host", "2 hosts", "0 hosts")
