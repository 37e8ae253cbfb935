"""What holds for all tests: their order, who needs root, Hypothesis without clocks, and no silent skip in CI.

Fixtures stand in the folder that needs them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
ORDER = ("wire", "states", "service", "minion", "master", "attacks", "fuzz", "netns", "uml", "stock", "faults", "lab")
"""Folders from the fastest to the slowest: a mistake shows as early as it can. Files beside them come first."""
NEED_ROOT = frozenset({"netns", "uml", "stock", "faults", "lab"})
IN_CI = os.environ.get("CI") == "true"

# A machine that is busy with virtual machines says nothing about a test by being slow.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("patient"), print_blob=True)
settings.load_profile("ci" if IN_CI else "patient")

# A shell starts what runs in its background with SIGINT ignored, and processes inherit that: the commands under test, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the fast tests first, and mark those that need root by their folder."""
    items.sort(key=lambda item: _rank(_folder(item)))
    for item in items:
        if _folder(item) in NEED_ROOT:
            item.add_marker(pytest.mark.needs_root)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that was skipped has failed: something that it needs is missing."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module."""
    report = yield
    if IN_CI and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"no test may be skipped in CI: {reason}"


def _folder(item: pytest.Item) -> str:
    parts = item.path.relative_to(HERE).parts if item.path.is_relative_to(HERE) else ()
    return parts[0] if len(parts) > 1 else ""


def _rank(folder: str) -> int:
    return ORDER.index(folder) if folder in ORDER else -1
