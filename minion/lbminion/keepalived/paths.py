"""Where everything of one keepalived lies. Several run side by side when nothing here is shared."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from .errors import KeepalivedMissing

_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin")


@dataclass(frozen=True, slots=True)
class KeepalivedPaths:
    """The defaults are those of a distribution's keepalived.service; `under` gives those of a supervised one.

    `pid` is the parent's pid file (the children's lie beside it: vrrp.pid, ...); `dump` is where keepalived writes its
    JSON dump: keepalived.json in its TMPDIR, so a unit with PrivateTmp= hides it.
    `runtime` must be cleared at reboot or be ours alone; our marks and the log of a supervised keepalived lie there.
    `adjustments` survives a reboot: it holds the files by which priorities are adjusted, which keepalived reads.
    """

    binary: str = "keepalived"
    config: Path = Path("/etc/keepalived/keepalived.conf")
    runtime: Path = Path("/run/lbminion")
    fifo: Path = Path("/run/lbminion/vrrp.fifo")
    pid: Path = Path("/run/keepalived.pid")
    dump: Path = Path("/tmp/keepalived.json")  # noqa: S108 - keepalived's own place; dump.py guards against planted files
    adjustments: Path = Path("/var/lib/lbminion/adjustments")

    @classmethod
    def under(cls, runtime: Path, config: Path, binary: str = "keepalived") -> KeepalivedPaths:
        """All that moves lies in `runtime`: for a keepalived that we start ourselves."""
        return cls(
            binary=binary,
            config=config,
            runtime=runtime,
            fifo=runtime / "vrrp.fifo",
            pid=runtime / "keepalived.pid",
            dump=runtime / "keepalived.json",
            adjustments=runtime / "adjustments",
        )

    @property
    def children(self) -> tuple[Path, ...]:
        """The pid files of the processes that the parent starts: VRRP, health checkers, BFD."""
        return tuple(self.pid.with_name(f"{name}.pid") for name in ("vrrp", "checkers", "bfd"))

    @property
    def log(self) -> Path:
        return self.runtime / "keepalived.log"

    def executable(self) -> str:
        """Return the absolute path of the program. Raises `KeepalivedMissing`."""
        folders = os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_FOLDERS))
        found = shutil.which(self.binary, path=folders)
        if found is None:
            raise KeepalivedMissing(
                f"{self.binary}: no such program on this host; install it: apt-get install keepalived"
            )
        return found
