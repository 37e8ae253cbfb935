"""What the story does on the hosts of a lab, in the words of the story."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from story.cast import FIVE, Cast

HERE = Path(__file__).resolve().parent
ACCESS_LOG = "/var/log/nginx/access.log"
POLL_SECONDS = 0.25

T = TypeVar("T")


class Unexpected(Exception):
    """A step did not come out as it should; the text says what was seen."""


class Runner(Protocol):
    """A lab, as far as the story needs it. `run` raises for a failing command unless `check` is false."""

    def run(
        self, host: str, command: str | Sequence[str], *, check: bool = True, timeout: float = 60, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]: ...


class Hosts:
    """The cluster's hosts, reached through a runner; `patience` lengthens all waiting, for machines that are slow."""

    def __init__(self, runner: Runner, patience: float = 1.0, cast: Cast = FIVE) -> None:
        self.runner = runner
        self.cast = cast
        self._patience = patience

    def out(self, host: str, command: str, *, timeout: float = 60, stdin: str = "") -> str:
        """Run a command that has to succeed and return what it printed."""
        return self.runner.run(host, command, timeout=timeout * self._patience, stdin=stdin).stdout.strip()

    def lbmaster(self, arguments: str, *, timeout: float = 90, stdin: str = "") -> str:
        """Run `lbmaster ARGUMENTS` on the master's host."""
        return self.out(self.cast.master, f"lbmaster {arguments}", timeout=timeout, stdin=stdin)

    def ask(self, arguments: str, *, timeout: float = 90, stdin: str = "") -> Any:  # noqa: ANN401 - JSON
        """Run `lbmaster ARGUMENTS` with --json in it and decode the answer."""
        return json.loads(self.lbmaster(arguments, timeout=timeout, stdin=stdin))

    def until(self, look: Callable[[], T | None], what: str, within: float = 60) -> tuple[T, float]:
        """Look until there is something to see; return it, and the seconds it took."""
        begin = time.monotonic()
        while True:
            seen = look()
            elapsed = time.monotonic() - begin
            if seen:
                return seen, elapsed
            if elapsed > within * self._patience:
                raise Unexpected(f"{what}: not within {within * self._patience:.0f} s; {self.report()}")
            time.sleep(POLL_SECONDS)

    def report(self) -> str:
        """What the master says of the cluster: for the error of a step that failed."""
        return self.runner.run(self.cast.master, "lbmaster status; lbmaster events --limit 30", check=False).stdout

    # --- what is seen -----------------------------------------------------------------------------------------------

    def status(self) -> Any:  # noqa: ANN401 - JSON
        """What `lbmaster status` says of the cluster."""
        return self.ask(f"status --json {self.cast.cluster}")["clusters"][self.cast.cluster]

    def holders(self) -> dict[str, str | None]:
        """Who holds each VRRP instance, as the master sees it; None while nobody or more than one does."""
        return {vip["instance"]: vip["holder"] for vip in self.status()["vips"].values()}

    def holder(self) -> str | None:
        """Who holds all VIPs, as the master sees it; None while that is not one director."""
        holders = set(self.holders().values())
        return holders.pop() if len(holders) == 1 else None

    def has_vip(self, host: str, vip: str | None = None) -> bool:
        """Whether the host's own `ip` shows the VIP (a bare address; the first one of the cast when none is given)."""
        vip = vip or self.cast.vip
        return vip in self.out(host, f"ip -br address show to {vip}")

    def cursor(self) -> int:
        """Where the journal stands."""
        events = self.events(0)
        return events[-1]["cursor"] if events else 0

    def events(self, since: int) -> list[dict[str, Any]]:
        """Everything in the journal after a cursor."""
        lines = self.lbmaster(f"events --json --since {since}").splitlines()
        return [json.loads(line) for line in lines]

    def event(self, since: int, event_type: str, minion: str = "", **data: object) -> dict[str, Any] | None:
        """The first event of a type after a cursor, from a host and with these data if given."""
        for event in self.events(since):
            fits = all(event["data"].get(key) == value for key, value in data.items())
            if event["type"] == event_type and minion in ("", event["minion"]) and fits:
                return event
        return None

    def connections(self) -> dict[str, int]:
        """How many connections each director's IPVS has counted for all its services."""
        hosts = self.ask(f"stats --json {self.cast.cluster}")["clusters"][self.cast.cluster]
        return {
            host: sum(s["connections"] for s in hosts[host]["services"])
            for host in self.cast.directors
            if host in hosts
        }

    def open_connections(self, vip: str, port: int) -> set[str]:
        """The client's ends (ADDRESS:PORT) of the connections that it has open to a VIP's port."""
        lines = self.out(self.cast.client, f"ss -Htn state established dst {vip} dport = :{port}").splitlines()
        return {line.split()[2] for line in lines}

    def knows(self, director: str, vip: str, port: int) -> bool:
        """Whether a director's IPVS has all connections that the client has open to a VIP's port, and there are some.

        Entries of others tell nothing: a standby may keep one whose end it was not told of for as long as IPVS waits.
        """
        ours = self.open_connections(vip, port)
        entries = [line.split() for line in self.out(director, "ipvsadm -Lnc").splitlines()]
        known = {entry[3] for entry in entries if entry[2:3] + entry[4:5] == ["ESTABLISHED", f"{vip}:{port}"]}
        return bool(ours) and ours <= known

    # --- requests ---------------------------------------------------------------------------------------------------

    def request(self, count: int, vip: str | None = None) -> dict[str, Any]:
        """Send requests to a VIP (the first one when none is given), each on a connection of its own, and count who answered.

        `answered`: host name in the page -> requests; `logged`: real server -> lines that its access log grew by.
        """
        before = {host: self._log_lines(host) for host in self.cast.real_servers}
        script = (HERE / "requests_client.py").read_text()
        command = f"python3 - {vip or self.cast.vip} 80 {count}"
        report: dict[str, Any] = json.loads(self.out(self.cast.client, command, timeout=300, stdin=script))
        report["logged"] = {host: self._log_lines(host) - before[host] for host in self.cast.real_servers}
        return report

    def _log_lines(self, host: str) -> int:
        return int(self.out(host, f"wc -l <{ACCESS_LOG}"))
