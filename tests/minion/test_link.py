"""The link to the master on real sockets: what must not end the minion, and what reaches it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOSING = Path(__file__).parent / "losing.py"


@pytest.mark.parametrize("how", ["the master goes", "rekey"])
def test_a_connection_that_ends_with_a_broadcast_half_read_ends_no_minion(how: str) -> None:
    """As every revoked key, restart of the master and new key makes it: what is broadcast then is received again."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, LOSING, how], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "after"
