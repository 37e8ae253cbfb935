"""What the lab needs on the machine itself, and how it gets there. Never keepalived or nginx: Debian would start them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from microvm import kernel
from microvm.errors import LabError
from microvm.shell import run

PACKAGE_OF_PROGRAM = {
    "linux.uml": "user-mode-linux",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "mkfs.ext4": "e2fsprogs",
    "unshare": "util-linux",
}
COMPILER = ("gcc", "libc6-dev")
"""Only where the kernel needs help: see ``kernel``."""
HEADERS = Path("/usr/include/dlfcn.h")


def require_root() -> None:
    """Raise ``LabError`` unless run by root: namespaces, taps and device nodes need it."""
    if os.geteuid():
        raise LabError(
            "the lab makes network namespaces and an image with device nodes, so it needs root: run it by sudo"
        )


def require_devices() -> None:
    """Raise ``LabError`` when this machine has no tap devices."""
    if not Path("/dev/net/tun").exists():
        raise LabError("/dev/net/tun is missing: modprobe tun, or start this container with --device /dev/net/tun")


def missing_packages() -> list[str]:
    """Return the Debian packages whose programs are not on this machine."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = [package for program, package in PACKAGE_OF_PROGRAM.items() if not shutil.which(program, path=path)]
    if kernel.has_amx() and not (shutil.which("cc", path=path) and HEADERS.exists()):
        found += COMPILER
    return found


def install(packages: list[str]) -> None:
    """Install Debian packages, without what they merely recommend. Raises ``LabError``."""
    if not packages:
        return
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise LabError(f"missing on this machine: {names} (Debian's names); install them, this is no Debian")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    apt = ["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends"]
    try:
        run([*apt, "install", *packages], what=f"install {names}", timeout=600, env=env)
    except LabError:
        # The usual cause on a fresh machine: package lists that were never fetched, or are too old.
        run([*apt, "update"], what="fetch Debian's package lists", timeout=300, env=env)
        run([*apt, "install", *packages], what=f"install {names}", timeout=600, env=env)
