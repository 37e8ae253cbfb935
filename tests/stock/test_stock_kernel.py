"""Debian's stock kernel: runs the tests in `inside/`, and some of `uml/inside/`, in an emulated guest."""

from __future__ import annotations

import pytest
from tests.guests import GuestRun, require_all_passed

# The first run downloads the kernel.
pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(1200)]


def test_the_tests_in_the_guest_pass(stock_run: GuestRun) -> None:
    """The console of the guest, with pytest's own report in it, is shown when one of them fails."""
    require_all_passed(stock_run)
