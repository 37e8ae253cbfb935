"""The story of the five VMs on the full VMs that tests/vagrant/run brought up: Debian's stock kernel, emulated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent / "vagrant"), str(HERE)]

from full_vms import FullVms  # noqa: E402  # found by the line above

from microvm.errors import LabError  # noqa: E402
from story.demo import play  # noqa: E402
from story.five import STORY  # noqa: E402
from story.hosts import Hosts, Unexpected  # noqa: E402

PATIENCE = 5.0


def main() -> int:
    """Play it, and close as a test runner does."""
    report: dict[str, Any] = {"steps": []}
    try:
        play(Hosts(FullVms.attach(), PATIENCE), report)
    except (LabError, Unexpected) as error:
        print(f"FAILED: {error}", file=sys.stderr)
    passed = len(report["steps"])
    print(f"{passed} passed, {len(STORY) - passed} failed")
    return 0 if passed == len(STORY) else 1


sys.exit(main())
