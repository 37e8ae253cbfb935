"""The real kernel's IPVS: runs the tests in `inside/` in a guest, and says of each how it ended there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from tests.uml.conftest import GuestRun

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(450)]


def test_the_tests_in_the_guest_pass(guest_run: GuestRun) -> None:
    """The console of the guest, with pytest's own report in it, is shown when one of them fails."""
    assert guest_run.exit_code == 0, guest_run.console
    suite = ET.fromstring(guest_run.junit).find("testsuite")
    assert suite is not None, guest_run.console
    counts = {name: int(suite.get(name, "-1")) for name in ("errors", "failures", "skipped")}
    assert counts == {"errors": 0, "failures": 0, "skipped": 0}, guest_run.console
    assert int(suite.get("tests", "0")) > 0, guest_run.console
