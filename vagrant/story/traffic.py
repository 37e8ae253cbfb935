"""Requests to every VIP while a step changes something, and which of them were lost that should not have been."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from story.hosts import HERE, Hosts, Unexpected

SCRIPT: Final = "/root/traffic_client.py"
REPORT: Final = "/root/traffic.json"
PID: Final = "/root/traffic.pid"
# A request that was on its way when the holder went, or whose answer met a neighbour table of a moment ago.
MARGIN_SECONDS: Final = 1.0


@dataclass
class Traffic:
    """What the client saw, by VIP address, once `watched` has ended; times are of the hosts' clock."""

    seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def gap(self, vip: str) -> float:
        """The longest time without an answer, in seconds."""
        begin, end = self.seen[vip]["gap"]
        return float(end - begin)

    def lost(self, vip: str) -> int:
        """How many requests failed."""
        return len(self.seen[vip]["failed"])

    def check(self, windows: Mapping[str, tuple[float, float]]) -> None:
        """Raise `Unexpected` for a lost request outside of its VIP's failover window (address -> begin, end)."""
        for vip, report in self.seen.items():
            begin, end = windows.get(vip, (float("inf"), float("-inf")))
            wrong = [
                lost for lost in report["failed"] if lost[0] > end + MARGIN_SECONDS or lost[1] < begin - MARGIN_SECONDS
            ]
            if wrong:
                window = f"{begin:.2f} to {end:.2f}" if vip in windows else "none: it did not move"
                raise Unexpected(f"requests to {vip} lost outside of a failover ({window}): {wrong}")


@contextmanager
def watched(hosts: Hosts) -> Iterator[Traffic]:
    """Send requests to all VIPs while the block runs; the `Traffic` is filled when it ends."""
    client, traffic = hosts.cast.client, Traffic()
    hosts.out(client, f"cat >{SCRIPT}", stdin=(HERE / "traffic_client.py").read_text())
    addresses = " ".join(hosts.cast.vips.values())
    start = f"setsid python3 {SCRIPT} {REPORT} {addresses} >/root/traffic.log 2>&1 </dev/null & echo $! >{PID}"
    hosts.out(client, f"rm -f {REPORT}; {start}")
    try:
        yield traffic
    finally:
        hosts.out(client, f"kill -TERM $(cat {PID})")
    seen, _ = hosts.until(_read(hosts), "the client ends its requests", within=30)
    traffic.seen = seen


def _read(hosts: Hosts) -> Callable[[], dict[str, Any] | None]:
    def look() -> dict[str, Any] | None:
        text = hosts.runner.run(hosts.cast.client, f"cat {REPORT}", check=False).stdout
        return json.loads(text) if text else None

    return look
