"""One master and its minions, as on real hosts: installed commands, keys of their own, joined by tokens."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lbmaster.client import Unreachable, call

from . import director
from .cluster import cluster_file
from .network import MASTER, Network, address
from .processes import BenchmarkError, Processes, until

_BIN = Path(sys.executable).parent
_JOINING_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Host:
    """A host with a minion: `config` is its minion.toml, in `folder` with its state; `runtime` is its /run."""

    name: str
    number: int
    namespace: str
    folder: Path
    runtime: Path

    @property
    def config(self) -> Path:
        return self.folder / "minion.toml"

    @property
    def fifo(self) -> Path:
        """Where keepalived writes its notifications."""
        return self.runtime / "vrrp.fifo"


class Site:
    """A network with a master, directors d1.. and real servers r1.., all of them joined and online.

    `idle` names hosts that join, but whose minion is not started. What hosts keep below /run lies in memory, as it does
    there; their state directories share this machine's disk, unless `memory` puts them into memory, too: then the flushes
    of many hosts do not wait for one disk, which on real hosts they never do.
    """

    def __init__(
        self, real_servers: int, *, directors: int = 1, idle: Sequence[str] = (), memory: bool = False
    ) -> None:
        self._stack = ExitStack()
        self._names = [f"d{n}" for n in range(1, directors + 1)] + [f"r{n}" for n in range(1, real_servers + 1)]
        self._names += idle
        self._idle = frozenset(idle)
        self._memory = memory
        self.hosts: dict[str, Host] = {}
        self.minions: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        with self._stack as stack:
            self.runtime = Path(stack.enter_context(_folder(in_memory=True)))
            self.folder = Path(stack.enter_context(_folder(in_memory=self._memory)))
            self.network = stack.enter_context(Network())
            # Runs after the minions have ended: they would start anew what is killed here.
            stack.callback(self._end_keepalived)
            self.processes = stack.enter_context(Processes(self.folder))
            self._start_master()
            for number, name in enumerate(self._names, 1):
                self.hosts[name] = Host(name, number, self.network.add(number), self.folder / name, self.runtime / name)
            with ThreadPoolExecutor(_JOINING_AT_ONCE) as pool:
                list(pool.map(self._join, self.hosts.values()))
            for name in self._names:
                if name not in self._idle:
                    self.minions[name] = self._start(self.hosts[name])
            until(self._all_online, "all minions online", 30 + len(self._names))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- setting up -------------------------------------------------------------------------------------------------

    def _start_master(self) -> None:
        config = self.folder / "master" / "master.toml"
        command: list[str | Path] = [_BIN / "lbmaster", "--config", config]
        made = subprocess.run(
            [*command, "init", "--state-dir", config.parent / "state", "--runtime-dir", self.runtime / "master"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        self._fingerprint = next(
            line.split()[-1] for line in made.stdout.splitlines() if line.startswith("Fingerprint:")
        )
        self.config = config
        self.master = self.processes.start("master", Network.within(self.network.master, *command, "serve"))
        until(self._answers, "the master answers", 20)

    def _answers(self) -> bool:
        if self.master.poll() is not None:
            raise BenchmarkError(f"the master ended: {self.processes.log('master')}")
        try:
            return bool(self.call("ping"))
        except Unreachable:
            return False

    def _join(self, host: Host) -> None:
        host.folder.mkdir()
        token = self.call("keys.token", ttl=300, name=host.name)["token"]
        command = [
            *self._program(host), "--config", host.config, "join", "--master", MASTER, "--fingerprint",
            self._fingerprint, "--token", token, "--name", host.name, "--state-directory", host.folder / "state",
            "--runtime-directory", host.runtime, "--keepalived-config", host.folder / "keepalived.conf",
        ]  # fmt: skip
        joined = subprocess.run(
            Network.within(host.namespace, *command), capture_output=True, text=True, check=False, timeout=120
        )
        if joined.returncode:
            raise BenchmarkError(f"{host.name} could not join: {joined.stderr}")
        # systemd's keepalived is the machine's, not the namespace's.
        host.config.write_text(f'keepalived_manager = "child"\nlog_level = "warning"\n{host.config.read_text()}')

    def _start(self, host: Host) -> subprocess.Popen[bytes]:
        command = Network.within(host.namespace, *self._program(host), "--config", host.config, "run")
        return self.processes.start(host.name, command)

    @staticmethod
    def _program(host: Host) -> list[str | Path]:
        if host.name.startswith("d"):
            return [sys.executable, director.__file__]
        return [_BIN / "lbminion"]

    def _all_online(self) -> bool:
        for name, process in self.minions.items():
            if process.poll() is not None:
                raise BenchmarkError(f"the minion of {name} ended: {self.processes.log(name)}")
        found = {key["name"] for key in self.call("keys.list")["keys"] if key["last_seen"] is not None}
        return found >= self.minions.keys()

    def _end_keepalived(self) -> None:
        """A keepalived outlives its minion, by design."""
        for host in self.hosts.values():
            for file in host.runtime.glob("*.pid"):
                pid = file.read_text().strip()
                if pid.isdecimal() and str(host.runtime).encode() in _command_line(int(pid)):
                    subprocess.run(["kill", "-KILL", pid], check=False, stderr=subprocess.DEVNULL)

    # --- using it ---------------------------------------------------------------------------------------------------

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Ask the master."""
        return call(verb, arguments, socket=self.runtime / "master" / "control.sock", patience=150)

    @property
    def events_socket(self) -> Path:
        return self.runtime / "master" / "events.sock"

    def cli(self, *words: str | Path) -> list[str]:
        """Give the command line of `lbmaster WORDS...`."""
        return [str(word) for word in (_BIN / "lbmaster", "--config", self.config, *words)]

    def cluster_file(self, *, extra: bool) -> str:
        """Write the cluster file with all that runs."""
        return cluster_file(self._addresses("d"), self._addresses("r"), extra=extra)

    def _addresses(self, letter: str) -> Mapping[str, str]:
        return {name: address(self.hosts[name].number) for name in self.minions if name.startswith(letter)}

    def push(self, *, extra: bool) -> dict[str, Any]:
        """Push the cluster file. Raises `BenchmarkError` unless every host converges."""
        pushed = self.call("push", text=self.cluster_file(extra=extra), file="bench.yaml", by="bench", timeout=120)
        if pushed["outcome"] != "converged":
            problems = {name: host["problem"] for name, host in pushed["hosts"].items() if host["problem"]}
            raise BenchmarkError(f"the push failed: {problems}")
        return pushed


def _folder(*, in_memory: bool) -> tempfile.TemporaryDirectory[str]:
    place = "/dev/shm" if in_memory and Path("/dev/shm").is_dir() else None
    return tempfile.TemporaryDirectory(prefix="lbbench-", dir=place)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def settled(seconds: float) -> None:
    """Let the start-up's own work end before anything is measured."""
    await asyncio.sleep(seconds)
