"""The five full VMs that tests/vagrant/run brought up, behind the interface of the micro-VM lab (``microvm.lab.Lab``).

Only what a story needs: the topology, and commands as root. Booting and destroying is the business of the script.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microvm import paths
from microvm.errors import LabError
from microvm.lab import read_topology
from microvm.shell import tail
from microvm.topology import Topology

# Emulated guests need several times as long as micro-VMs for every process they start.
RUN_SECONDS = 240.0


@dataclass(frozen=True)
class FullVms:
    """The guests of a topology, reached by the ssh_config that `vagrant ssh-config` wrote."""

    topology: Topology
    ssh_config: Path

    @classmethod
    def attach(cls) -> FullVms:
        """Return the VMs of the surrounding tests/vagrant/run. Raises ``LabError`` outside of one."""
        config = os.environ.get("LBMASTER_SSH_CONFIG")
        if not config:
            raise LabError("LBMASTER_SSH_CONFIG is not set: start this by tests/vagrant/run COMMAND...")
        return cls(read_topology(paths.TOPOLOGY), Path(config))

    def run(
        self,
        host: str,
        command: str | Sequence[str],
        *,
        check: bool = True,
        timeout: float = RUN_SECONDS,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in a guest: a string by its shell, a list word by word.

        Raises ``LabError`` when it does not end within ``timeout`` seconds and, with ``check``, when its code is not 0.
        """
        name = self.topology.host(host).name
        line = command if isinstance(command, str) else shlex.join(command)
        words = ["ssh", "-F", str(self.ssh_config), name, "--", "sudo", "sh", "-c", shlex.quote(line)]
        try:
            done = subprocess.run(
                words, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{host}: {command!r} did not end within {timeout:.0f} s") from error
        if check and done.returncode:
            output = f"{tail(done.stdout)}\n{tail(done.stderr)}".rstrip()
            raise LabError(f"{host}: {command!r} ended with code {done.returncode}\n{output}")
        return done
