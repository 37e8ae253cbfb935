from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .scene import Scene, Servers


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
async def scene(tmp_path: Path, servers: Servers) -> AsyncIterator[Scene]:
    made = Scene(tmp_path, servers.ask)
    yield made
    made.end()
