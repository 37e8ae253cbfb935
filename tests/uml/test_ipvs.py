"""The real kernel's IPVS: runs the tests in `inside/` in a guest, and says of each how it ended there."""

from __future__ import annotations

import pytest
from tests.guests import GuestRun, require_all_passed

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(450)]


def test_the_tests_in_the_guest_pass(guest_run: GuestRun) -> None:
    """The console of the guest, with pytest's own report in it, is shown when one of them fails."""
    require_all_passed(guest_run)
