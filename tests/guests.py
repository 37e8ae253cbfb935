"""Guests that run pytest: how one is started, bounded and ended, and what comes out of it.

Which kernel a guest has, and how it comes to its file system, is said in the folders of the tests: `uml`, `stock`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

ROOT: Final = Path(__file__).parents[1]
INSIDE: Final = "LB_INSIDE_GUEST"
"""Set in a guest, and nowhere else."""

# The tests in folders of this name need the kernel of a guest.
IGNORED: Final = [] if os.environ.get(INSIDE) else ["inside"]


@dataclass(frozen=True, slots=True)
class GuestRun:
    """What came out of a guest: pytest's exit code (None: it did not get that far), its JUnit file, the console."""

    exit_code: int | None
    junit: str
    console: str


def init(mount_share: str, tests: Sequence[str], pytest_arguments: Sequence[str] = ()) -> str:
    """PID 1 of a guest that has the machine's file system: runs the tests of these paths, and powers off.

    `mount_share` is the command that mounts the share at /run/share: what the tests leave for us.
    """
    arguments = " ".join((*pytest_arguments, *tests))
    return textwrap.dedent(f"""\
        #!/bin/sh
        exec >/dev/console 2>&1
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run {INSIDE}=1 PYTHONDONTWRITEBYTECODE=1
        mount -t proc proc /proc; mount -t sysfs sys /sys
        mount -t tmpfs tmpfs /run
        mkdir -p /run/share
        {mount_share}
        # Not over /tmp: the checkout that is tested may lie there.
        mkdir /run/tmp
        export TMPDIR=/run/tmp
        ip link set lo up
        cd {ROOT}
        {sys.executable} -m pytest -p no:cacheprovider --color=no --timeout 60 --junit-xml=/run/share/junit.xml \\
            {arguments}
        echo $? >/run/share/exit_code
        sync
        # Started while there is a file system to start it from.
        sleep 60 &
        echo o >/proc/sysrq-trigger
        wait
        """)


def run_guest(command: Sequence[str | Path], share: Path, seconds: float) -> GuestRun:
    """Run a guest whose PID 1 is `init` until it powers off, at most so long; it has ended when this returns or raises."""
    console = share / "console"
    with console.open("wb") as output:
        guest = subprocess.Popen(
            # Killed also when pytest is, which then can no longer do it.
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            guest.wait(seconds)
        except subprocess.TimeoutExpired:
            output.write(b"\n*** not finished in time ***\n")
        finally:
            _end(guest)
    code, junit = share / "exit_code", share / "junit.xml"
    return GuestRun(
        exit_code=int(code.read_text()) if code.exists() else None,
        junit=junit.read_text() if junit.exists() else "",
        console=console.read_text(errors="replace"),
    )


def _end(guest: subprocess.Popen[bytes]) -> None:
    """Kill the guest and the helper processes of its own session, if any of them is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(guest.pid, 9)
    guest.wait(10)


def require_all_passed(run: GuestRun) -> None:
    """Fail with the guest's console, which has pytest's own report in it, unless there were tests and all passed."""
    assert run.exit_code == 0, run.console
    suite = ET.fromstring(run.junit).find("testsuite")
    assert suite is not None, run.console
    counts = {name: int(suite.get(name, "-1")) for name in ("errors", "failures", "skipped")}
    assert counts == {"errors": 0, "failures": 0, "skipped": 0}, run.console
    assert int(suite.get("tests", "0")) > 0, run.console
