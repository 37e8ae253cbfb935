"""A User-Mode-Linux guest on the host's file system: a kernel with IPVS, for what this machine's own has not."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT / "vagrant"))

from microvm import kernel  # noqa: E402  # found by the line above

from .processes import BenchmarkError  # noqa: E402

_PATHS = ("benchmarks", "master", "minion", "states", "wire", "service", ".")


def run(share: Path, arguments: list[str], *, seconds: float, memory: str = "384M") -> None:
    """Run `python -m ARGUMENTS` as the guest's only process; it sees `share` as /run/share, and may write there.

    Raises `BenchmarkError` with the console when it fails, or is not done in time.
    """
    if shutil.which("linux.uml") is None:
        raise BenchmarkError("linux.uml not found: install the Debian package user-mode-linux")
    script, console = share / "init", share / "console"
    script.write_text(_init(share, arguments))
    script.chmod(0o755)
    with console.open("wb") as output:
        guest = subprocess.Popen(
            [
                *kernel.command(), f"mem={memory}", "rootfstype=hostfs", "rootflags=/", "root=98:0", "ro", f"init={script}",
                "con=null", "con0=fd:0,fd:1", "quiet", f"uml_dir={share}/uml",
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        try:
            guest.wait(seconds)
        except subprocess.TimeoutExpired:
            output.write(b"*** not done in time ***\n")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(guest.pid, 9)
            guest.wait(10)
    code = share / "exit_code"
    if not code.exists() or code.read_text().strip() != "0":
        raise BenchmarkError(f"the guest failed:\n{console.read_text(errors='replace')}")


def _init(share: Path, arguments: list[str]) -> str:
    paths = ":".join(str(_ROOT / path) for path in _PATHS)
    return f"""\
#!/bin/sh
exec >/dev/console 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={paths}
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmpfs /run
mkdir -p /run/share /run/tmp; mount -t hostfs none /run/share -o {share}
export TMPDIR=/run/tmp
ip link set lo up
cd {_ROOT}
{shlex.join([sys.executable, "-m", *arguments])}
echo $? >/run/share/exit_code
sync
echo o >/proc/sysrq-trigger
sleep 60
"""
