"""What came of a step: one line for people, and figures for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """`seconds` is what the step is about (time to converge, to fail over, to heal), None where there is no such time."""

    said: str
    seconds: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)
