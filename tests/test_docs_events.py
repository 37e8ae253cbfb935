"""docs/events.md is kept equal to lbwire.event_types, which subscribers rely on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbwire.event_types import EVENT_TYPES
from lbwire.events import Data

PAGE = Path(__file__).parent.parent / "docs" / "events.md"
ROW = re.compile(r"^\| `(?P<type>[a-z_.]+)` \| (?P<fields>.*?) \| (?P<meaning>.*) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, str]]:
    """Type -> (fields, meaning) as the page has them."""
    return {row["type"]: (row["fields"], row["meaning"]) for row in ROW.finditer(PAGE.read_text())}


def fields_of(data: type[Data]) -> str:
    """The fields as the page shall write them."""
    names = (f"`{name}: {annotation}`" for name, annotation in data.__annotations__.items() if name != "TYPE")
    return ", ".join(names)


def meaning_of(data: type[Data]) -> str:
    """The docstring, as the one line that a table has room for."""
    return " ".join((data.__doc__ or "").split())


def test_every_type_is_documented_in_the_order_of_the_code() -> None:
    """None is missing, and none is left over."""
    assert list(documented()) == list(EVENT_TYPES)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_page_says_what_the_code_says(event_type: str) -> None:
    """Fields with their types, and the meaning."""
    data = EVENT_TYPES[event_type]

    assert documented()[event_type] == (fields_of(data), meaning_of(data))
