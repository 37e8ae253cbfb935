"""A LAN for the tests of a module: each begins by saying what its hosts become."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.stock.inside.lan import Lan
from tests.uml.inside import modules


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    modules.load("ip_vs")
    made = Lan()
    yield made
    made.remove()
