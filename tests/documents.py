"""Reading the documents: their code blocks and tables. What these should say is in the tests that ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`(?P<text>[^`\n]+)`(?!`)")
_ROW = re.compile(r"^\| (?P<cells>.*) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: `info` is what stands behind the fence ("yaml", "text", "toml master", "")."""

    page: str
    info: str
    text: str


def blocks(page: Path, info: str | None = None) -> list[Block]:
    """The blocks of a page, or those with this info."""
    found = [Block(page.name, match["info"], match["text"]) for match in _FENCE.finditer(page.read_text())]
    return [block for block in found if info is None or block.info == info]


def all_blocks(info: str) -> list[Block]:
    """The blocks with this info on all pages."""
    return [block for page in PAGES for block in blocks(page, info)]


def code_spans(page: Path) -> list[str]:
    """What stands between single backticks, outside the blocks."""
    return [match["text"] for match in _CODE.finditer(_FENCE.sub("", page.read_text()))]


def rows(page: Path) -> dict[str, list[str]]:
    """The rows of a page's tables whose first cell is one piece of code: that -> the other cells."""
    found = {}
    for match in _ROW.finditer(_FENCE.sub("", page.read_text())):
        first, *others = re.split(r" ?\| ?", match["cells"])
        if code := re.fullmatch(r"`([^`]+)`", first):
            found[code[1]] = [cell.strip() for cell in others]
    return found
