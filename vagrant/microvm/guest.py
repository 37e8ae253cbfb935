"""One guest: its directory, its disk, and the User-Mode Linux process that runs it."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from microvm import kernel, network
from microvm.errors import LabError
from microvm.process import Process
from microvm.shell import run, tail
from microvm.topology import Host, Topology

DISK_BYTES = 2 << 30
# $1 the overlay's layers, $2 where the guest's root appears, and then the command line of the kernel. The script is the
# first process of a PID namespace, with mounts of its own: when it dies, all processes of the guest die, and the mount.
START = """\
set -e
mount -t overlay overlay -o "ro,lowerdir=$1" "$2"
shift 2
"$@"
"""
# Starts $2... in a session of its own with the console's log $1 as its output, and tells its number: the guest outlives
# the command that started it, and nobody has to wait for it.
LEAVE = """\
log=$1
shift
setsid "$@" </dev/null >>"$log" 2>&1 &
echo $!
"""


@dataclass(frozen=True)
class Guest:
    """Where the things of one guest lie. ``disk`` survives a crash, as a disk does; both go with the lab."""

    host: Host
    index: int
    directory: Path
    disk: Path

    @property
    def console(self) -> Path:
        """The log of the console, of all boots."""
        return self.directory / "console.log"

    @property
    def _record(self) -> Path:
        return self.directory / "process.json"

    def make(self, topology: Topology) -> None:
        """Make the guest's own layer (names and addresses) and its empty disk. Raises ``LabError``."""
        hosts = "".join(f"{other.address} {other.name}\n" for other in topology.hosts)
        own = {
            "etc/hostname": f"{self.host.name}\n",
            "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{hosts}",
            "etc/machine-id": f"{uuid.uuid4().hex}\n",
            "etc/lab.env": f"LAB_ADDRESS={self.host.address}/{topology.prefix}\n",
        }
        for name, text in own.items():
            path = self.directory / "own" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.directory / "root").mkdir()
        self.disk.parent.mkdir(parents=True, exist_ok=True)
        with self.disk.open("wb") as file:
            file.truncate(DISK_BYTES)
        sparse = ["-J", "size=8", "-N", "32768", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]
        run(["mkfs.ext4", "-q", "-m", "0", *sparse, self.disk], what=f"make the disk {self.disk}")

    def start(self, namespace: str, layers: tuple[Path, ...]) -> None:
        """Start the guest's kernel; it boots on its own from here on. Raises ``LabError`` when it runs already."""
        if self.running():
            raise LabError(f"{self.host.name} is running already")
        root = self.directory / "root"
        lower = ":".join(str(path) for path in (self.directory / "own", *layers))
        command = [
            *kernel.command(), f"mem={self.host.memory}M", "root=98:0", "rootfstype=hostfs", f"rootflags={root}", "ro",
            "init=/sbin/lab-init", f"ubd0={self.disk}", "con=null", "con0=null,fd:1",
            f"eth0=tuntap,{network.tap_of(self.index)},{network.mac_of(self.index)}",
            f"umid={self.host.name}", f"uml_dir={self.directory}/uml", "quiet", "systemd.log_target=console",
            "systemd.show_status=error", "systemd.unit=multi-user.target",
        ]  # fmt: skip
        isolate = ["ip", "netns", "exec", namespace, "unshare", "--pid", "--fork", "--kill-child", "--mount"]
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"  # where the kernel maps its RAM
        environment = dict(os.environ, TMPDIR=memory, HOME=str(self.directory))
        words: list[str | Path] = [self.console, *isolate, "sh", "-c", START, "guest", lower, root, *command]
        pid = run(["sh", "-c", LEAVE, "leave", *words], what=f"start {self.host.name}", env=environment, cwd=Path("/"))
        process = Process.of(int(pid))
        self._record.write_text(json.dumps({"pid": process.pid, "started": process.started}))

    def process(self) -> Process | None:
        """Return the guest's process as it was recorded at its last start; None when it never started."""
        try:
            data = json.loads(self._record.read_text())
        except FileNotFoundError:
            return None
        return Process(data["pid"], data["started"])

    def running(self) -> bool:
        """Tell whether the guest's kernel runs."""
        process = self.process()
        return process is not None and process.alive()

    def crash(self) -> None:
        """End the guest as a power cut does: at once, with what its disk has got by then. Raises ``LabError``."""
        process = self.process()
        if process:
            process.kill()

    def console_tail(self) -> str:
        """Return where the console's log lies, and its last lines, for an error message."""
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return f"console log: {self.console}\n{tail(text)}"
