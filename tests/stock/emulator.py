"""A guest with Debian's stock kernel, emulated by qemu, on the machine's own file system: nothing is installed in it.

The machine's root comes by 9p, read-only, under an overlay that is in the guest's memory. Emulated in software also where
there is KVM: what a test finds shall not depend on the machine, and nested KVM often cannot run a stock kernel.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.guests import GuestRun, init, run_guest
from tests.stock.kernel import StockKernel

from microvm.shell import run

_MEGABYTES: Final = 512
_OPTIONS: Final = "trans=virtio,version=9p2000.L,msize=524288"
_NEEDED: Final = ("virtio_pci", "9pnet_virtio", "9p", "overlay")


def run_in_guest(kernel: StockKernel, share: Path, tests: Sequence[str], seconds: float) -> GuestRun:
    """Boot the guest, run the tests of these paths in it, power off. `share` is the only directory that it writes to.

    Raises `LabError`.
    """
    share.mkdir(parents=True, exist_ok=True)
    script = share / "init"
    script.write_text(init(f"mount -t 9p -o {_OPTIONS} share /run/share", tests))
    script.chmod(0o755)
    first = _first_root(kernel, share / "first", script)
    return run_guest(_command(kernel, first, share), share, seconds)


def _command(kernel: StockKernel, first: Path, share: Path) -> list[str | Path]:
    return [
        "qemu-system-x86_64",
        *("-accel", "tcg", "-cpu", "max", "-m", str(_MEGABYTES)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *("-kernel", kernel.image, "-initrd", first),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off"),
        *("-fsdev", "local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=machine,mount_tag=machine"),
        *("-fsdev", f"local,id=share,path={share},security_model=none"),
        *("-device", "virtio-9p-pci,fsdev=share,mount_tag=share"),
    ]


def _first_root(kernel: StockKernel, directory: Path, script: Path) -> Path:
    """Make the file system in memory that the kernel begins with: busybox, modules, and how to get to the machine's."""
    for folder in ("bin", "dev", "machine", "memory", "modules", "proc", "root"):
        (directory / folder).mkdir(parents=True)
    shutil.copy(kernel.busybox, directory / "bin/busybox")
    modules = []
    for file in kernel.needed_for(*_NEEDED):
        shutil.copy(file, directory / "modules")
        modules.append(file.name)
    first = directory / "init"
    first.write_text(_first_steps(kernel, modules, script))
    first.chmod(0o755)
    archive = directory.with_suffix(".cpio")
    pack = 'find . | "$0" cpio -o -H newc >"$1"'
    run(["sh", "-c", pack, kernel.busybox, archive], what="pack what the guest begins with", cwd=directory)
    return archive


def _first_steps(kernel: StockKernel, modules: Sequence[str], script: Path) -> str:
    return textwrap.dedent(f"""\
        #!/bin/busybox sh
        /bin/busybox --install -s /bin
        mount -t devtmpfs dev /dev
        exec >/dev/console 2>&1
        cd /modules
        for module in {" ".join(modules)}; do insmod "$module"; done
        mount -t 9p -o {_OPTIONS},cache=loose,ro machine /machine
        mount -t tmpfs memory /memory
        mkdir /memory/upper /memory/work
        mount -t overlay -o lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work overlay /root
        mount -t devtmpfs dev /root/dev
        mkdir -p /root/usr/lib/modules
        mount -t tmpfs modules /root/usr/lib/modules
        ln -s {kernel.modules} /root/usr/lib/modules/{kernel.release}
        # The kernel loads what it needs by a program, here busybox: only that reads the lists that busybox has made.
        ln -s {kernel.busybox} /root/usr/lib/modules/modprobe
        mount -t proc proc /proc
        echo /usr/lib/modules/modprobe >/proc/sys/kernel/modprobe
        umount /proc
        exec switch_root /root {script}
        """)
