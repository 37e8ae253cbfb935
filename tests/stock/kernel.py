"""Debian's stock kernel with its modules, in the lab's cache: taken out of its package, which is not installed.

Beside it lies a static busybox, which is what a guest has before it has a file system.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from microvm import paths
from microvm.errors import LabError
from microvm.prepare import cache_lock
from microvm.shell import run

_NEWEST: Final = "linux-image-amd64"
"""Depends on the package of the newest kernel."""
_BUSYBOX: Final = "busybox-static"
_SHELF: Final = "stock-"

# Most of a kernel's modules are for hardware that no guest has.
_WANTED: Final = re.compile(
    r"boot/vmlinuz-.*"
    r"|(usr/)?(?P<module>lib/modules/[^/]+/(modules\.(builtin.*|order)"
    r"|kernel/(arch|crypto|fs|lib|net|drivers/virtio|drivers/net(?=/[^/]+$))/.*))"
)


@dataclass(frozen=True, slots=True)
class StockKernel:
    """What was taken out of the packages: `directory` has `vmlinuz`, `busybox`, and `lib/modules/<release>`."""

    directory: Path

    @property
    def image(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def busybox(self) -> Path:
        return self.directory / "busybox"

    @property
    def release(self) -> str:
        """Its version, as `uname -r` tells it."""
        return self.directory.name.removeprefix(_SHELF)

    @property
    def modules(self) -> Path:
        return self.directory / "lib/modules" / self.release

    def needed_for(self, *names: str) -> list[Path]:
        """Return the files of modules and of all that they need, in the order in which they can be loaded.

        Raises `LabError` for a module that this kernel does not have.
        """
        needs: dict[str, list[str]] = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, others = line.partition(":")
            needs[path] = others.split()
        by_name = {Path(path).stem.replace("-", "_"): path for path in needs}
        order: dict[str, None] = {}

        def add(path: str) -> None:
            for other in needs[path]:
                add(other)
            order.setdefault(path)

        for name in names:
            if name not in by_name:
                raise LabError(
                    f"the kernel {self.release} has no module {name}: remove {self.directory}, and try again"
                )
            add(by_name[name])
        return [self.modules / path for path in order]


def ensure() -> StockKernel:
    """Return the newest kernel that Debian's package lists name, downloaded when the cache lacks it (about 70 MB).

    Raises `LabError`.
    """
    package = _newest()
    directory = paths.cache() / f"{_SHELF}{package.removeprefix('linux-image-')}"
    with cache_lock():
        if not directory.is_dir():
            partial = directory.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                _fill(partial, package, directory.name.removeprefix(_SHELF))
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            for replaced in paths.cache().glob(f"{_SHELF}*"):
                if replaced != partial:
                    shutil.rmtree(replaced)
            partial.rename(directory)
    return StockKernel(directory)


def _newest() -> str:
    for refresh in (False, True):
        if refresh:
            run(["apt-get", "-qq", "update"], what="fetch Debian's package lists", timeout=300)
        text = run(["apt-cache", "depends", _NEWEST], what="ask for the newest kernel of Debian")
        if found := re.search(r"Depends: (linux-image-\S+)", text):
            return found[1]
    raise LabError(f"there is no package {_NEWEST} in this machine's package lists: is it a Debian for amd64?")


def _fill(directory: Path, package: str, release: str) -> None:
    packages = directory / "packages"
    packages.mkdir()
    run(["apt-get", "-qq", "download", package, _BUSYBOX], what=f"download {package}", timeout=600, cwd=packages)
    _unpack(next(packages.glob("linux-image-*.deb")), directory)
    run(["dpkg-deb", "-x", next(packages.glob(f"{_BUSYBOX}*.deb")), packages], what="unpack busybox")
    shutil.copy(
        packages.joinpath("usr/bin/busybox" if (packages / "usr/bin/busybox").exists() else "bin/busybox"),
        directory / "busybox",
    )
    shutil.rmtree(packages)
    run([directory / "busybox", "depmod", "-b", directory, release], what="list what the modules need", timeout=120)


def _unpack(package: Path, directory: Path) -> None:
    """Write the kernel and the wanted modules; modules as they are in memory, however the package compresses them."""
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive,
    ):
        for member in archive:
            wanted = _WANTED.fullmatch(member.name.removeprefix("./"))
            content = archive.extractfile(member) if wanted and member.isfile() else None
            if wanted is None or content is None:
                continue
            path = directory / (wanted["module"] or "vmlinuz").removesuffix(".xz")
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content.read()
            path.write_bytes(lzma.decompress(data) if member.name.endswith(".xz") else data)
    if unpacking.returncode != 0 or not (directory / "vmlinuz").exists():
        raise LabError(f"could not unpack {package.name}: dpkg-deb ended with code {unpacking.returncode}")
