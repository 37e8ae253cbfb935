"""One User-Mode-Linux guest per session: a real kernel with IPVS, for the tests in `inside/`, which run in the guest."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

INSIDE = "LB_INSIDE_GUEST"
"""Set in the guest, and nowhere else."""

# The tests in there need the guest's kernel.
collect_ignore = [] if os.environ.get(INSIDE) else ["inside"]

_ROOT = Path(__file__).parents[2]
_SECONDS = 400


@dataclass(frozen=True, slots=True)
class GuestRun:
    """What came out of the guest: pytest's exit code (None: it did not get that far), its JUnit file, the console."""

    exit_code: int | None
    junit: str
    console: str


def run_in_guest(share: Path, *pytest_arguments: str) -> GuestRun:
    """Boot the guest, run pytest on `inside/` there, power off. `share` is the only directory that it can write to."""
    share.mkdir(parents=True, exist_ok=True)
    script = share / "init"
    script.write_text(_init(share, pytest_arguments))
    script.chmod(0o755)
    console = share / "console"
    with console.open("wb") as output:
        guest = subprocess.Popen(
            [
                "linux.uml",
                "mem=192M",
                "rootfstype=hostfs",
                "rootflags=/",
                "root=98:0",
                "ro",
                f"init={script}",
                "con=null",
                "con0=fd:0,fd:1",
                "quiet",
                f"uml_dir={share}/uml",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            guest.wait(_SECONDS)
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


def _init(share: Path, pytest_arguments: tuple[str, ...]) -> str:
    """PID 1 of the guest. Everything but `share` and its own tmpfs is the host's file system, read-only."""
    arguments = " ".join(pytest_arguments)
    return textwrap.dedent(f"""\
        #!/bin/sh
        exec >/dev/console 2>&1
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run {INSIDE}=1 PYTHONDONTWRITEBYTECODE=1
        mount -t proc proc /proc; mount -t sysfs sys /sys
        mount -t tmpfs tmpfs /run
        mkdir -p /run/share
        mount -t hostfs none /run/share -o {share}
        # Not over /tmp: the checkout that is tested may lie there.
        mkdir /run/tmp
        export TMPDIR=/run/tmp
        ip link set lo up
        cd {_ROOT}
        {sys.executable} -m pytest -p no:cacheprovider --color=no --timeout 60 --junit-xml=/run/share/junit.xml \\
            {arguments} tests/uml/inside
        echo $? >/run/share/exit_code
        sync
        echo o >/proc/sysrq-trigger
        sleep 60
        """)


@pytest.fixture(scope="session")
def guest_run(tmp_path_factory: pytest.TempPathFactory) -> GuestRun:
    """The tests in `inside/`, run once in a guest."""
    missing = [name for name in ("linux.uml", "ipvsadm") if shutil.which(name) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found: install the Debian packages user-mode-linux and ipvsadm")
    return run_in_guest(tmp_path_factory.mktemp("guest"))
