"""One User-Mode-Linux guest per session: a real kernel with IPVS, for the tests in `inside/`, which run in the guest."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "vagrant"))

from tests.guests import IGNORED, GuestRun, init, run_guest  # noqa: E402

from microvm import kernel  # noqa: E402  # found by the line above

collect_ignore = IGNORED

_SECONDS = 400


def run_in_guest(share: Path, *pytest_arguments: str) -> GuestRun:
    """Boot the guest, run pytest on `inside/` there, power off. `share` is the only directory that it can write to.

    Everything but `share` and its own tmpfs is the host's file system, read-only.
    """
    share.mkdir(parents=True, exist_ok=True)
    script = share / "init"
    script.write_text(init(f"mount -t hostfs none /run/share -o {share}", ["tests/uml/inside"], pytest_arguments))
    script.chmod(0o755)
    command = (
        *kernel.command(),
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
    )
    return run_guest(command, share, _SECONDS)


@pytest.fixture(scope="session")
def guest_run(tmp_path_factory: pytest.TempPathFactory) -> GuestRun:
    """The tests in `inside/`, run once in a guest."""
    missing = [name for name in ("linux.uml", "ipvsadm") if shutil.which(name) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found: install the Debian packages user-mode-linux and ipvsadm")
    return run_in_guest(tmp_path_factory.mktemp("guest"))
