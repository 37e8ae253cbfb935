"""The five-VM lab for the tests of this folder: real kernels, real keepalived and nginx, the product installed.

Every test of the folder needs root, and time for the first one to build the image.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "vagrant"))

from microvm.lab import Lab  # noqa: E402  # found by the line above

FIRST_BUILD_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: root, and a time limit that covers the build of the image."""
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
    """The lab of vagrant/topology.yaml, provisioned, without any state of the product; taken down at the end."""
    made = Lab.up(name=f"test-{os.getpid()}")
    try:
        yield made
    finally:
        made.down()
