"""What a target is, and what counts as a crash. What the targets are stands in `targets.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CASES: Final = Path(__file__).parent / "cases"
SECONDS: Final = 1.0
"""Of the processor, for one input."""


class TooSlow(AssertionError):
    """An input took longer than `SECONDS`."""


@dataclass(frozen=True)
class Target:
    """`read` takes any bytes and swallows the documented refusal; whatever it raises is a crash.

    `seeds` are real messages. No input is made longer than `longest` bytes: what is as large as the product allows is
    tried by name (tests/fuzz/test_largest.py), for a fuzzer gains nothing by size.
    """

    name: str
    read: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 4096

    def feed(self, data: bytes) -> None:
        """Read one input. Raises whatever the reader should not have, `RecursionError` too, and `TooSlow`."""
        begun = time.process_time()
        self.read(data)
        seconds = time.process_time() - begun
        if seconds > SECONDS:
            raise TooSlow(f"{len(data)} bytes took {seconds:.1f} s")

    def cases(self) -> list[Path]:
        """List what was found once: each was a crash."""
        folder = CASES / self.name
        return sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
