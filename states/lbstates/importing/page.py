"""The cluster file in the making: its values, and the comments that will stand beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .yaml_text import Path


@dataclass(slots=True)
class Draft:
    """The cluster file in the making."""

    data: dict[str, Any]
    comments: dict[Path, list[str]] = field(default_factory=dict)

    def remark(self, path: Path, *lines: str) -> None:
        """Add comment lines before an entry."""
        self.comments.setdefault(path, []).extend(lines)
