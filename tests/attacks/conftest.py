"""A master with real sockets, and whoever attacks it."""

from __future__ import annotations

import pytest

from tests.master.conftest import config, site

__all__ = ["config", "site"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is told soon, so that no test waits for it for long."""
    monkeypatch.setattr("lbmaster.refusals.TELL_SECONDS", 0.5)
