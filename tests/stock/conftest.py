"""One guest with Debian's stock kernel per session: nftables for IPv4 and IPv6, and IPVS, in one kernel.

The User-Mode Linux of `uml` boots faster and tests more, but has no nftables for what IPVS balances.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from tests.guests import IGNORED, GuestRun

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "vagrant"))

from tests.stock import emulator, kernel  # they need the line above

collect_ignore = IGNORED

TESTS = ("tests/stock/inside", "tests/uml/inside/test_table.py", "tests/uml/inside/test_forwarding.py")
"""What needs this kernel; and the round trip of IPVS entries and of real packets, whose layout and ways might differ."""
# This kernel loads ip_vs by itself as soon as somebody asks for it.
NOT_HERE = ("tests/uml/inside/test_table.py::test_a_kernel_without_ip_vs_is_named_with_the_way_out",)
_SECONDS = 400


@pytest.fixture(scope="session")
def stock_run(tmp_path_factory: pytest.TempPathFactory) -> GuestRun:
    """These tests, run once in a guest."""
    missing = [name for name in ("qemu-system-x86_64", "ipvsadm", "nft", "apt-get") if shutil.which(name) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found: run tests/prepare, on a Debian")
    selection = [f"--deselect={test}" for test in NOT_HERE]
    return emulator.run_in_guest(kernel.ensure(), tmp_path_factory.mktemp("stock"), (*TESTS, *selection), _SECONDS)
