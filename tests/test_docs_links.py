"""Links between the documents lead somewhere: the file exists, and so does the heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .documents import PAGES

LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#\s]*)(?:#(?P<heading>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
LINKS = [(page, match["file"], match["heading"]) for page in PAGES for match in LINK.finditer(page.read_text())]


def slug(heading: str) -> str:
    """The anchor that a heading gets on the usual forges."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(("page", "file", "heading"), LINKS, ids=lambda value: getattr(value, "name", str(value)))
def test_a_link_leads_somewhere(page: Path, file: str, heading: str | None) -> None:
    """Relative to its page."""
    target = page.parent / file if file else page
    assert target.exists()
    if heading is not None:
        assert heading in {slug(match["text"]) for match in HEADING.finditer(target.read_text())}
