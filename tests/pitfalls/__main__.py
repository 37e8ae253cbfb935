"""Prints every pitfall with its tests, or why it has none; exit code 1 when one has neither."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .rows import ROWS
from .scan import by_pitfall

TESTS = by_pitfall()
BARE = [row.id for row in ROWS if not row.why_not and row.id not in TESTS]


def lines() -> Iterator[str]:
    """The list, and its sum."""
    for row in ROWS:
        yield f"{row.id:<4} {'/'.join(row.where):<14} {row.symptom}"
        yield from (f"     {node}" for node in TESTS.get(row.id, ()))
        if row.why_not:
            yield f"     no test: {row.why_not}"
        elif row.id in BARE:
            yield "     NO TEST"
    tests = sum(len(nodes) for nodes in TESTS.values())
    yield f"{len(ROWS)} pitfalls, {tests} tests, {len(BARE)} without a test or a reason"


sys.stdout.write("\n".join(lines()) + "\n")
sys.exit(bool(BARE))
