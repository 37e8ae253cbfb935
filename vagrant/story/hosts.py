"""What the story does on the hosts of a lab, in the words of the story."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

HERE = Path(__file__).resolve().parent
ACCESS_LOG = "/var/log/nginx/access.log"
MASTER = "netology5"
CLIENT = "netology5"
MASTER_ADDRESS = "172.28.128.50"
VIP = "172.28.128.200"
CLUSTER = "netology"
REAL_SERVERS = ("netology1", "netology2")
DIRECTORS = ("netology3", "netology4")
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

    def __init__(self, runner: Runner, patience: float = 1.0) -> None:
        self.runner = runner
        self._patience = patience

    def out(self, host: str, command: str, *, timeout: float = 60, stdin: str = "") -> str:
        """Run a command that has to succeed and return what it printed."""
        return self.runner.run(host, command, timeout=timeout * self._patience, stdin=stdin).stdout.strip()

    def lbmaster(self, arguments: str, *, timeout: float = 90, stdin: str = "") -> str:
        """Run `lbmaster ARGUMENTS` on the master's host."""
        return self.out(MASTER, f"lbmaster {arguments}", timeout=timeout, stdin=stdin)

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
        return self.runner.run(MASTER, "lbmaster status; lbmaster events --limit 30", check=False).stdout

    # --- what is seen -----------------------------------------------------------------------------------------------

    def holder(self) -> str | None:
        """Who holds the VIP, as the master sees it; None while nobody or more than one does."""
        status = self.ask(f"status --json {CLUSTER}")
        vips = status["clusters"][CLUSTER]["vips"].values()
        holders = {vip["holder"] for vip in vips if len(vip["masters"]) == 1}
        return holders.pop() if len(holders) == 1 else None

    def has_vip(self, host: str) -> bool:
        """Whether the host's own `ip` shows the VIP."""
        return VIP in self.out(host, f"ip -br address show to {VIP}")

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
        hosts = self.ask(f"stats --json {CLUSTER}")["clusters"][CLUSTER]
        return {host: sum(s["connections"] for s in hosts[host]["services"]) for host in DIRECTORS if host in hosts}

    # --- requests ---------------------------------------------------------------------------------------------------

    def request(self, count: int) -> dict[str, Any]:
        """Send requests to the VIP, each on a connection of its own, and count who answered.

        `answered`: host name in the page -> requests; `logged`: real server -> lines that its access log grew by.
        """
        before = {host: self._log_lines(host) for host in REAL_SERVERS}
        script = (HERE / "requests_client.py").read_text()
        report: dict[str, Any] = json.loads(self.out(CLIENT, f"python3 - {VIP} 80 {count}", timeout=300, stdin=script))
        report["logged"] = {host: self._log_lines(host) - before[host] for host in REAL_SERVERS}
        return report

    def _log_lines(self, host: str) -> int:
        return int(self.out(host, f"wc -l <{ACCESS_LOG}"))
