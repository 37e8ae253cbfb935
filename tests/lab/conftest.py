"""The lab for the tests of this folder: real kernels, real keepalived and nginx, the product installed.

Every test of the folder needs root, and time for the first one to build the image. One lab of six guests serves them
all, because booting is what costs: the two directors' story plays on five of them.
LB_TEST_LAB=NAME plays on the lab of that name (`vagrant/lab --name NAME up vagrant/three.yaml`) and leaves it up.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "vagrant"))

from tests.lab.bench import Bench, figures  # noqa: E402

from microvm.lab import Lab  # noqa: E402  # found by the line above
from story.cast import THREE  # noqa: E402

FIRST_BUILD_SECONDS = 900
ORDER = ("test_lab", "test_story", "test_story_faults", "test_three")
"""The stories begin with a lab in which nothing is set up; what comes after them takes it as it is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the stories first; mark the tests of this folder: root, and a time limit that covers the build of the image."""
    rank = {name: place for place, name in enumerate(ORDER)}
    own = [place for place, item in enumerate(items) if item.path.is_relative_to(HERE)]
    ranked = sorted((items[place] for place in own), key=lambda item: rank.get(item.path.stem, len(ORDER)))
    for place, item in zip(own, ranked, strict=True):
        items[place] = item
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.needs_root)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(FIRST_BUILD_SECONDS))


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid():
        pytest.skip("the lab needs root")


@pytest.fixture(scope="session")
def lab(_root: None) -> Iterator[Lab]:
    """The lab of vagrant/three.yaml, provisioned, without any state of the product; taken down at the end."""
    if name := os.environ.get("LB_TEST_LAB"):
        yield Lab.attach(name)
        return
    made = Lab.up(THREE.topology, name=f"test-{os.getpid()}")
    try:
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def bench(lab: Lab) -> Bench:
    """The same lab for tests of single features, which push a cluster file of their own each."""
    return Bench(lab)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was measured."""
    if figures:
        terminalreporter.section("measured in the lab")
        for line in figures:
            terminalreporter.write_line(line)
