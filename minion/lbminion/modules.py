"""Kernel modules: which are in the kernel, loading some, and the list of those that every boot shall load.

Modules are never unloaded. Which ones a host needs is decided elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from lbminion import programs
from lbminion.errors import HostError
from lbservice.files import write_atomically

LIST: Final = Path("/etc/modules-load.d/lbmaster.conf")
SYSTEMD_RUNS: Final = Path("/run/systemd/system")
MODPROBE_PATH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"

_LOADED: Final = Path("/proc/modules")
_STATE: Final = 4
_MODULES: Final = Path("/lib/modules")
_SYS: Final = Path("/sys/module")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,54}")
_HEADER: Final = (
    "# Written by lbmaster (lbminion): do not edit, changes are overwritten. Other files here are left alone.\n"
)
_UNIT: Final = "systemd-modules-load.service"
_SECONDS: Final = 30.0


def is_name(text: str) -> bool:
    """Whether a module could have this name, as the kernel writes it: with `_`, never `-`."""
    return _NAME.fullmatch(text) is not None


def loaded(file: Path = _LOADED) -> frozenset[str]:
    """Name the modules that are loaded, without what is built in. Raises `OSError`."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:  # a kernel that cannot load any
        return frozenset()
    # A module that is on its way in or out is not there.
    return frozenset(row[0] for line in lines if len(row := line.split()) > _STATE and row[_STATE] == "Live")


def built_in(root: Path = _MODULES, sys: Path = _SYS) -> frozenset[str]:
    """Name the modules that this kernel was built with: those that its package lists, or that have settings."""
    try:
        lines = (
            (root / os.uname().release / "modules.builtin").read_text(encoding="ascii", errors="replace").splitlines()
        )
    except OSError:
        lines = []
    listed = (Path(line).name.partition(".")[0].replace("-", "_") for line in lines)
    # A loaded module has a state there, a built-in one has not.
    shown = (module.name for module in sys.glob("*") if not (module / "initstate").exists())
    return frozenset((*listed, *shown))


def loadable(root: Path = _MODULES) -> frozenset[str]:
    """Name the modules that lie ready for this kernel, whether or not they are loaded; none where it cannot load any."""
    try:
        lines = (root / os.uname().release / "modules.dep").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(Path(line.partition(":")[0]).name.partition(".")[0].replace("-", "_") for line in lines)


class BootList:
    """The file that names what every boot loads: ours alone, other files beside it are other people's."""

    def __init__(self, path: Path = LIST) -> None:
        self.path = path

    def read(self) -> frozenset[str]:
        """Name what is listed; none where there is no file. Raises `OSError`."""
        try:
            lines = self.path.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return frozenset()
        return frozenset(name for line in lines if is_name(name := line.strip()))

    def write(self, names: Collection[str]) -> None:
        """List exactly these; a list of none is no file. Raises `OSError`, and `ValueError` for what is no name."""
        for name in names:
            if not is_name(name):
                raise ValueError(f"{name!r} is no name of a kernel module")
        if not names:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(mode=0o755, exist_ok=True)
        content = _HEADER + "".join(f"{name}\n" for name in sorted(names))
        write_atomically(self.path, content.encode(), mode=0o644)


class Loader:
    """Loads modules: by systemd where it runs the host, else by modprobe.

    The minion's own unit may not load modules. systemd's service may, and loads what the files of such lists name.
    """

    def __init__(
        self, *, systemd: bool | None = None, systemctl: str = "systemctl", modprobe: str | None = None
    ) -> None:
        self._systemd = SYSTEMD_RUNS.is_dir() if systemd is None else systemd
        self._systemctl, self._modprobe = systemctl, modprobe

    async def load(self, names: Collection[str]) -> str:
        """Try to load modules that are listed; return what was said ("" when it went well).

        Whether they are in the kernel is to be looked at afterwards. Raises `HostError`.
        """
        if not self._systemd:
            program = self._modprobe or shutil.which("modprobe", path=MODPROBE_PATH)
            if program is None:
                raise HostError("modprobe is not installed: install kmod (Debian: apt-get install kmod)")
            return await _run(program, "--all", "--", *sorted(names))
        # After some starts within seconds systemd refuses to start a unit; we have our reasons, so let it forget.
        await _run(self._systemctl, "--no-ask-password", "reset-failed", _UNIT)
        said = await _run(self._systemctl, "--no-ask-password", "restart", _UNIT)
        return said and f"{said} (see journalctl -u {_UNIT})"


async def _run(*command: str) -> str:
    """Run a program; return what it said if it failed. Raises `HostError` when it cannot be run or does not end."""
    try:
        code, output = await programs.run(*command, seconds=_SECONDS)
    except TimeoutError:  # an OSError too, so it comes first
        raise HostError(f"{command[0]} did not end within {_SECONDS:.0f} s") from None
    except OSError as error:
        raise HostError(f"cannot run {command[0]}: {error.strerror}") from error
    return (" ".join(output.split()) or f"{command[0]} ended with code {code}") if code else ""
