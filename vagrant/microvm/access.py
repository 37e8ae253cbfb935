"""Commands in guests: SSH with the lab's own key, from inside the lab's namespace, over one lasting connection a guest."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microvm.errors import LabError
from microvm.guest import Guest
from microvm.image import Image

POLL_SECONDS = 0.4
SSH_FAILED = 255


@dataclass(frozen=True)
class Access:
    """The way into the guests of one lab; ``sockets`` is the directory of the lasting connections."""

    namespace: str
    image: Image
    sockets: Path

    def words(self, guest: Guest, command: str | Sequence[str]) -> list[str]:
        """Return the command line that runs ``command`` in the guest: a string by its shell, a list word by word."""
        text = command if isinstance(command, str) else shlex.join(command)
        return [*self._ssh(guest), "-o", "ControlMaster=no", f"root@{guest.host.address}", "--", text]

    def run(
        self, guest: Guest, command: str | Sequence[str], *, timeout: float, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. Raises ``LabError`` when it takes longer than ``timeout`` s or the guest is away."""
        try:
            done = subprocess.run(
                self.words(guest, command),
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{guest.host.name}: {command!r} did not end within {timeout:.0f} s") from error
        if done.returncode == SSH_FAILED and not guest.running():
            raise LabError(f"{guest.host.name} is not running; {guest.console_tail()}")
        return done

    def connect(self, guest: Guest, deadline: float) -> None:
        """Wait until the guest lets us in, and keep the connection. ``deadline`` is of ``time.monotonic``.

        Raises ``LabError`` with the end of the console's log.
        """
        socket = self._socket(guest)
        socket.parent.mkdir(parents=True, exist_ok=True)
        keep = [*self._ssh(guest), "-o", "ControlMaster=yes", "-N", "-f", f"root@{guest.host.address}"]
        with (socket.parent / f"{guest.host.name}.log").open("w+") as log:
            while True:
                # Its output goes to a file: the connection stays in the background and would hold a pipe open.
                code = subprocess.run(keep, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
                if code == 0:
                    return
                if not guest.running():
                    raise LabError(f"{guest.host.name} ended during its boot; {guest.console_tail()}")
                if time.monotonic() > deadline:
                    log.seek(0)
                    last = log.read().strip().splitlines()[-1:]
                    raise LabError(f"{guest.host.name} did not let us in by SSH in time {last}; {guest.console_tail()}")
                time.sleep(POLL_SECONDS)

    def disconnect(self, guest: Guest) -> None:
        """Close the lasting connection, also when the guest is dead already."""
        socket = self._socket(guest)
        if socket.exists():
            leave = [*self._ssh(guest), "-O", "exit", f"root@{guest.host.address}"]
            subprocess.run(leave, capture_output=True, timeout=10, check=False)
            socket.unlink(missing_ok=True)

    def _socket(self, guest: Guest) -> Path:
        return self.sockets / guest.host.name

    def _ssh(self, guest: Guest) -> list[str]:
        options = {
            "ControlPath": str(self._socket(guest)),
            "IdentityFile": str(self.image.key),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.image.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlgorithms": "ssh-ed25519",
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "12",
            "LogLevel": "ERROR",
        }
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ip", "netns", "exec", self.namespace, "ssh", "-F", "none", "-T", *given]
