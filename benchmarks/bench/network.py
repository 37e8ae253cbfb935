"""A bridge and hosts on it, all in network namespaces with a random name: nothing of it is seen outside."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path
from typing import Self

from .processes import BenchmarkError

MASTER = "10.99.0.1"
PREFIX = 16


class Network:
    """The namespace of the master, which has the bridge, and one per host. Removed when the context ends."""

    def __init__(self) -> None:
        self._stem = f"lbbench-{secrets.token_hex(3)}"
        self._names: list[str] = []
        self.master = f"{self._stem}-m"

    def __enter__(self) -> Self:
        try:
            self._add(self.master)
            # Without an address of its own the bridge changes it with the hosts that come, and the others' ARP is stale.
            self._batch(
                self.master,
                f"""link set lo up
link add br0 address 02:00:00:00:00:01 type bridge mcast_snooping 0
address add {MASTER}/{PREFIX} dev br0
link set br0 up""",
            )
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def add(self, number: int) -> str:
        """Add host NUMBER (1 to 20,000) with its address; returns the namespace's name."""
        name = f"{self._stem}-{number}"
        self._add(name)
        self._batch(
            self.master,
            f"""link add v{number} type veth peer name eth0 netns {name}
link set v{number} master br0 up""",
        )
        self._batch(name, f"link set lo up\naddress add {address(number)}/{PREFIX} dev eth0\nlink set eth0 up")
        return name

    @staticmethod
    def within(namespace: str, *command: str | Path) -> list[str]:
        """Give the command line that runs a command in a namespace, under the pid that it was started with."""
        return ["ip", "netns", "exec", namespace, *map(str, command)]

    def remove(self) -> None:
        """Remove every namespace, and with them all that is in them."""
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
        self._names.clear()

    def _add(self, name: str) -> None:
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._names.append(name)

    @staticmethod
    def _batch(namespace: str, lines: str) -> None:
        done = subprocess.run(
            ["ip", "-n", namespace, "-batch", "-"], input=lines + "\n", text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise BenchmarkError(f"ip -batch in {namespace}: {done.stderr.strip()}")


def address(number: int) -> str:
    """Give the address of host NUMBER."""
    return f"10.99.{1 + number // 250}.{1 + number % 250}"
