"""A network of namespaces with a real master, and hosts with real minions that can be started, killed and looked at.

The network and the processes are the benchmarks'. Here is what only tests do: stop things half-way, and ask the host.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.bench import director
from benchmarks.bench.network import MASTER, Network, address
from benchmarks.bench.processes import Processes, until

from lbmaster.client import BrokenOff, RequestRefused, Unreachable, call

T = TypeVar("T")

BIN = Path(sys.executable).parent
SECONDS = 30
"""How long anything may take on a machine that does a lot besides."""
_CLONE_NEWNET = 0x40000000
CLUSTER = "web"
VIP = "10.99.250.1"

__all__ = ["CLUSTER", "MASTER", "SECONDS", "VIP", "Host", "Place", "RequestRefused", "inside", "until"]


def inside(namespace: str, function: Callable[[], T]) -> T:
    """Call a function in a thread that lives in a network namespace; sockets that it makes stay there."""
    done: list[T] = []

    def enter() -> None:
        with Path("/run/netns", namespace).open() as handle:
            if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns to {namespace}")
        done.append(function())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return done[0]


class Host:
    """A host in a namespace of its own: `folder` has its configuration and state, `runtime` is its /run."""

    def __init__(self, place: Place, name: str, number: int) -> None:
        self.place, self.name, self.address = place, name, address(number)
        self.namespace = place.network.add(number)
        self.folder = place.folder / name
        self.folder.mkdir()
        self.config, self.state, self.runtime = self.folder / "minion.toml", self.folder / "s", self.folder / "r"
        self.real = not name.startswith("d")
        """Whether nothing stands in for the kernel's IPVS; a director converges where the kernel has none."""
        self.process: subprocess.Popen[bytes] | None = None
        self._runs = 0

    # --- its minion -----------------------------------------------------------------------------------------------

    def command(self, *words: object) -> list[str]:
        """Give the command line of `lbminion WORDS...` on this host."""
        program = [BIN / "lbminion"] if self.real else [sys.executable, director.__file__]
        return Network.within(self.namespace, *map(str, (*program, "--config", self.config, *words)))

    def lbminion(self, *words: object, timeout: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command of `lbminion` to its end."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, check=False)

    def joining(self, *more: object, fingerprint: str = "", master: str = MASTER) -> tuple[object, ...]:
        """Give the words of `lbminion join`."""
        return (
            "join", "--master", master, "--fingerprint", fingerprint or self.place.fingerprint, "--name", self.name,
            "--state-directory", self.state, "--runtime-directory", self.runtime,
            "--keepalived-config", self.folder / "keepalived.conf", *more,
        )  # fmt: skip

    def join(self) -> None:
        """Join with a token, and set what a test needs."""
        token = self.place.ask("keys.token", ttl=300, name=self.name)["token"]
        joined = self.lbminion(*self.joining("--token", token))
        assert joined.returncode == 0, joined.stderr
        self.configure(keepalived_manager="child", reconcile_interval=3600)

    def configure(self, **settings: object) -> None:
        """Put settings before what is in the configuration, instead of those of the same name."""
        lines = [line for line in self.config.read_text().splitlines() if line.partition(" = ")[0] not in settings]
        self.config.write_text("\n".join([*(f"{k} = {json.dumps(v)}" for k, v in settings.items()), *lines, ""]))

    def start(self, *before: str, online: bool = True) -> None:
        """Run the minion, under the command `before` if there is one; by default wait until the master hears it."""
        self._runs += 1
        words = self.command("run")
        self.process = self.place.processes.start(self._log_name, [*words[:4], *before, *words[4:]])
        if online:
            self.until(self.is_online, "it is online")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the minion; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    @property
    def _log_name(self) -> str:
        return f"{self.name}.{self._runs}"

    @property
    def log(self) -> str:
        """What the minion printed since it was started last."""
        return self.place.processes.log(self._log_name)

    def ended(self) -> int:
        """Wait until the minion ends by itself; returns its exit code."""
        assert self.process is not None
        return self.process.wait(SECONDS)

    # --- what the master says of it -------------------------------------------------------------------------------

    def is_online(self) -> bool:
        """Whether the master hears the minion that runs now."""
        assert self.process is not None
        assert self.process.poll() is None, f"the minion of {self.name} ended: {self.log}"
        status = self.reported()
        return bool(status and status["online"] and self.place.is_there(self.name))

    def reported(self) -> dict[str, Any]:
        """Read what the minion says of itself; {} if it does not run."""
        assert self.process is not None
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.runtime / "status.json").read_text())
            if found["sample"]["time"] > _started(self.process.pid):
                return found
        return {}

    def events(self, *types: str, since: int = 0) -> list[dict[str, Any]]:
        """Read its events from the journal.

        That nothing listens on its VIPs, which is so and is said ten seconds after a start, only to who asks for types.
        """
        found = [event for event in self.place.events(*types, since=since) if event["minion"] == self.name]
        return [event for event in found if types or event["type"] != "health.silent"]

    def event(self, kind: str, since: int) -> dict[str, Any]:
        """Wait for the first event of a type after a cursor."""
        found: dict[str, Any] = self.until(lambda: self.events(kind, since=since), f"{kind} is journalled")[0]
        return found

    def until(self, look: Callable[[], T | None], what: str, within: float = SECONDS) -> T:
        """Wait until there is something to see; a failure shows the minion's log."""
        try:
            return until(look, f"{self.name}: {what}", within, pause=0.03)
        except Exception as error:
            error.add_note(self.log)
            raise

    # --- the host -------------------------------------------------------------------------------------------------

    def ip(self, *words: str) -> str:
        """Run `ip WORDS...` there."""
        return subprocess.run(
            ["ip", "-n", self.namespace, *words], check=True, capture_output=True, text=True, timeout=SECONDS
        ).stdout

    def on_lo(self) -> set[str]:
        """Name the IPv4 addresses of `lo`, without its own."""
        entries = json.loads(self.ip("-4", "-j", "address", "show", "dev", "lo"))[0]["addr_info"]
        return {f"{entry['local']}/{entry['prefixlen']}" for entry in entries} - {"127.0.0.1/8"}

    def holds(self) -> bool:
        """Whether its keepalived has the VIP."""
        return f" {VIP}/" in self.ip("-4", "-o", "address", "show", "dev", "eth0")

    def sysctl(self, key: str, value: str = "") -> str:
        """Read a setting below net/ipv4/conf, or write it."""

        def access() -> str:
            file = Path("/proc/sys/net/ipv4/conf") / key
            if value:
                file.write_text(value)
            return file.read_text().strip()

        return inside(self.namespace, access)

    def arp(self) -> dict[str, str]:
        """Read the four settings that keep a real server silent about its VIPs."""
        keys = [f"{of}/{key}" for of in ("all", "eth0") for key in ("arp_ignore", "arp_announce")]
        return {key: self.sysctl(key) for key in keys}

    def mount(self, *words: str) -> None:
        """Mount something that only the running minion sees (`ip netns exec` gave it a mount namespace)."""
        self._in_mount_namespace("mount", *words)

    def unmount(self, path: str) -> None:
        """Take away what `mount` brought."""
        self._in_mount_namespace("umount", path)

    def _in_mount_namespace(self, *command: str) -> None:
        assert self.process is not None
        subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", *command], check=True, timeout=SECONDS)

    @contextmanager
    def watched(self) -> Iterator[list[tuple[float, str]]]:
        """Collect (time, line) of the changes of IPv4 addresses, as the kernel tells them; complete after the end."""
        found: list[tuple[float, str]] = []
        command = ["ip", "-n", self.namespace, "-4", "-ts", "-o", "monitor", "address"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as monitor:
            assert monitor.stdout is not None
            output = monitor.stdout
            reader = threading.Thread(target=lambda: found.extend(_stamped(line) for line in output))
            reader.start()

            # The monitor has subscribed as soon as it tells of an address that comes.
            def probe() -> bool:
                self.ip("address", "add", "127.0.0.99/32", "dev", "lo")
                self.ip("address", "del", "127.0.0.99/32", "dev", "lo")
                return bool(found)

            try:
                until(probe, "ip monitor tells", SECONDS, pause=0.03)
                yield found
                count = sum("127.0.0.99" in line for _, line in list(found))
                probe()
                until(lambda: sum("127.0.0.99" in line for _, line in list(found)) >= count + 2, "the end", SECONDS)
            finally:
                monitor.terminate()
                reader.join()
        found[:] = [entry for entry in found if "127.0.0.99" not in entry[1]]

    def end(self) -> None:
        """End the minion, then its keepalived, which outlives it by design (and which it would start again)."""
        if self.process is not None and self.process.poll() is None:
            self.place.processes.end([self.process])
        for file in self.runtime.glob("*.pid"):
            pid = file.read_text().strip()
            with suppress(OSError):
                if pid and str(self.runtime).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)

    def remove(self) -> None:
        """End the minion, unplug the host, which may have VIPs still, and let the master forget it."""
        self.end()
        self.ip("link", "set", "dev", "eth0", "down")
        if any(key["name"] == self.name and key["state"] == "accepted" for key in self.place.enrolments()):
            self.place.ask("keys.revoke", name=self.name)


def _started(pid: int) -> float:
    """Tell when a process was started (Unix time)."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK") - 0.02


def _stamped(line: str) -> tuple[float, str]:
    found = re.match(r"\[([-0-9]+)T([0-9:]+)\.(\d+)\]\s*(.*)", line)
    assert found, line
    at = time.mktime(time.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S"))
    return at + float(f"0.{found[3]}"), found[4]


class Place:
    """The master in its namespace, and the hosts by name."""

    def __init__(self, folder: Path, network: Network, processes: Processes) -> None:
        self.folder, self.network, self.processes = folder, network, processes
        self.config = folder / "master.toml"
        self.hosts: dict[str, Host] = {}
        self._numbers = iter(range(1, 1000))
        self._master: subprocess.Popen[bytes]
        made = self.lbmaster("init", "--state-dir", folder / "state", "--runtime-dir", folder / "run")
        assert made.returncode == 0, made.stderr
        self.fingerprint = next(line.split()[-1] for line in made.stdout.splitlines() if "Fingerprint:" in line)
        self.config.write_text(self.config.read_text() + "lease = 5\nbeacon = 0.3\n")
        self.start_master()

    # --- the master -----------------------------------------------------------------------------------------------

    def lbmaster(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command of `lbmaster` to its end."""
        command = [BIN / "lbmaster", "--config", self.config, *words]
        return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)

    def start_master(self) -> None:
        """Start it, and wait until it answers."""
        command = Network.within(self.network.master, BIN / "lbmaster", "--config", self.config, "serve")
        self._master = self.processes.start("master", command)
        until(self.answers, "the master answers", SECONDS)

    def stop_master(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        self._master.send_signal(number)
        self._master.wait(SECONDS)

    def answers(self) -> bool:
        """Whether the master runs."""
        try:
            return bool(self.ask("ping"))
        except (Unreachable, BrokenOff):
            return False

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Ask it on its control socket."""
        return call(verb, arguments, socket=self.folder / "run" / "control.sock", patience=120)

    def enrolments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("keys.list")["keys"]
        return found

    def is_there(self, name: str) -> bool:
        """Whether the master has heard of a minion since it was started last, and lately."""
        lately = min(2, self.ask("ping")["uptime"])
        return any(
            key["name"] == name and key["state"] == "accepted" and (key["last_seen"] or lately) < lately
            for key in self.enrolments()
        )

    def events(self, *types: str, since: int = 0) -> list[dict[str, Any]]:
        """Read the journal from a cursor on."""
        found: list[dict[str, Any]] = []
        arguments = {"since": since, "types": list(types) or None, "follow": False}
        call("events", arguments, socket=self.folder / "run" / "events.sock", on_note=found.append)
        return found

    def cursor(self) -> int:
        """Tell where the journal ends now."""
        cursor: int = self.ask("events", follow=False, limit=0)["cursor"]
        return cursor

    # --- hosts and pushes -----------------------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        """Add a host, as it is before anything was done there."""
        found = self.hosts[name] = Host(self, name, next(self._numbers))
        return found

    def cluster_file(self, *real_servers: Host, vips: Mapping[str, str] | None = None, director: str = "d1") -> str:
        """Write the cluster file with these real servers; `vips` by name, without prefix."""
        vips = {"www": VIP} if vips is None else vips
        lines = [f"cluster: {CLUSTER}", "directors:", f"  {director}: {self.hosts[director].address}", "real_servers:"]
        lines += [f"  {host.name}: {host.address}" for host in real_servers]
        lines += ["vips:", *(f"  {name}: {vip}/16" for name, vip in vips.items()), "services:"]
        for name in vips:
            lines += [f"  - vip: {name}", "    port: 80", "    scheduler: rr"]
        return "\n".join(lines) + "\n"

    def with_standby(self, standby: Host, *real_servers: Host) -> str:
        """Write the cluster file with a second director, on which the VIP is not at home."""
        one = f"  d1: {self.hosts['d1'].address}\n"
        both = f"  d1: {{address: {self.hosts['d1'].address}, capacity: 9}}\n  {standby.name}: {standby.address}\n"
        return self.cluster_file(*real_servers).replace(one, both)

    def push(self, text: str, timeout: float = 60) -> dict[str, Any]:
        """Push a file; every host has to converge. Tests take each other's real servers out, all of them at once."""
        options = {"below_floor": True}
        answer = self.ask("push", text=text, file="web.yaml", by="test", timeout=timeout, options=options)
        assert answer["outcome"] == "converged", answer
        return answer

    def push_with(self, *real_servers: Host) -> dict[str, Any]:
        """Push the cluster with these real servers, and the one VIP."""
        return self.push(self.cluster_file(*real_servers))
