"""The product as wheels for the guests' Python: built from this source tree, with all that it depends on.

The guests never reach a package index. A ready directory of wheels can be given by the variable LBMASTER_WHEELHOUSE.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from microvm import packages, paths
from microvm.errors import LabError
from microvm.shell import run

logger = logging.getLogger(__name__)

GUEST_PYTHON = "3.11"
GUEST_GLIBC = 36
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "constraints.txt")
PACKAGES = ("master", "minion", "service", "states", "wire")
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pyc", "build", "dist")


@dataclass(frozen=True)
class Wheelhouse:
    """A directory of wheels, and the digest of what it was made of."""

    directory: Path
    digest: str


def ensure() -> Wheelhouse:
    """Return the wheelhouse of this source tree, built when the cache lacks it. Raises ``LabError``.

    The caller holds the cache's lock.
    """
    given = os.environ.get("LBMASTER_WHEELHOUSE")
    if given:
        return _given(Path(given))
    digest = _digest(paths.REPOSITORY, [*SOURCES, *PACKAGES])
    directory = paths.cache() / f"wheels-{digest}"
    if not directory.is_dir():
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _build(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.rename(directory)
    return Wheelhouse(directory, digest)


def _given(directory: Path) -> Wheelhouse:
    if not any(directory.glob("lbmaster-*.whl")):
        raise LabError(f"LBMASTER_WHEELHOUSE={directory} has no lbmaster-*.whl; fill it by `pip wheel`, or unset it")
    return Wheelhouse(directory.resolve(), _digest(directory, ["."]))


def _digest(base: Path, names: list[str]) -> str:
    """Hash the paths and contents of files; a name that is not there counts as absent."""
    digest = hashlib.sha256()
    for name in names:
        path = base / name
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            relative = file.relative_to(base)
            if file.is_file() and "__pycache__" not in relative.parts and ".egg-info" not in str(relative):
                digest.update(f"{relative}\0{file.stat().st_size}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _build(target: Path) -> None:
    if not (paths.REPOSITORY / "setup.cfg").is_file():
        raise LabError(f"{paths.REPOSITORY} has no setup.cfg: the lab builds the product from its source tree")
    logger.info("building the product's wheels from %s", paths.REPOSITORY)
    pip = _pip()
    # Built from a copy: setuptools leaves build/ and *.egg-info behind, and others may be working in the tree.
    source = target / "source"
    source.mkdir(parents=True)
    for name in SOURCES:
        if (paths.REPOSITORY / name).is_file():
            shutil.copy2(paths.REPOSITORY / name, source / name)
    for name in PACKAGES:
        shutil.copytree(paths.REPOSITORY / name, source / name, ignore=IGNORED)
    run([*pip, "wheel", "-q", "--no-deps", "-w", target, source], what="build the product's wheel", timeout=300)
    wheel = next(target.glob("lbmaster-*.whl"))
    constraints: list[str | Path] = ["-c", source / "constraints.txt"] if (source / "constraints.txt").is_file() else []
    download = [*pip, "download", "-q", "-d", target, "--find-links", target, *_for_guest(), *constraints]
    run(
        [*download, f"{wheel}[master,minion]"],
        what="fetch the wheels that the product depends on (needs a package index)",
        timeout=600,
    )
    shutil.rmtree(source)


def _for_guest() -> list[str]:
    """Options that make pip choose wheels for Debian's Python in the guest, whatever Python runs here."""
    machine = platform.machine()
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GUEST_GLIBC, 16, -1)] + [f"manylinux2014_{machine}"]
    tags.append(f"linux_{machine}")
    choice = ["--only-binary=:all:", "--implementation=cp", f"--python-version={GUEST_PYTHON}"]
    return choice + [f"--platform={tag}" for tag in tags]


def _pip() -> list[str | Path]:
    """Return the words that start a pip: that of this Python, or of a virtual environment in the cache."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    tools = paths.cache() / "tools"
    if not (tools / "bin/pip").exists():
        if not importlib.util.find_spec("ensurepip"):
            packages.install(["python3-venv"])
        run([sys.executable, "-m", "venv", "--clear", tools], what="make a virtual environment for pip", timeout=120)
    return [tools / "bin/python", "-m", "pip", "--disable-pip-version-check"]
