"""The lab for the faults: five guests of its own, taken down before the tests of `tests/lab` bring up theirs.

Every test needs root, and time for the first one to build the image. LB_TEST_LAB=NAME takes the lab of that name
(`vagrant/lab --name NAME up`) and leaves it up. LB_TEST_FAULTS=FILE gets the table as JSON: what `tests/faults/document`
makes docs/reliability.md of.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "vagrant"))

from tests.faults import table  # noqa: E402  # what it imports is found by the line above
from tests.faults.field import Field  # noqa: E402

from microvm.lab import Lab  # noqa: E402
from story.cast import FIVE  # noqa: E402

FIRST_BUILD_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: a time limit that covers the build of the image."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(FIRST_BUILD_SECONDS))


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    """The cluster under load, as pushed and at rest."""
    if os.geteuid():
        pytest.skip("the lab needs root")
    name = os.environ.get("LB_TEST_LAB")
    lab = Lab.attach(name) if name else Lab.up(FIVE.topology, name=f"faults-{os.getpid()}")
    try:
        made = Field(lab)
        try:
            yield made
        finally:
            made.stop()
    finally:
        if not name:
            lab.down()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of the faults that were run, and write it down where it is asked for."""
    if not table.rows:
        return
    terminalreporter.section("faults under load")
    for line in table.printed(table.rows):
        terminalreporter.write_line(line)
    if target := os.environ.get("LB_TEST_FAULTS"):
        Path(target).write_text(table.as_json(table.rows))
