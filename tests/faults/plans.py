"""What is no fault but planned: a director hands its VIPs over, and nobody notices."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Final

from tests.faults.allowance import Losing
from tests.faults.fault import CALM, Course, Fault, told
from tests.faults.field import Field
from tests.faults.variants import PORTS, Variant

from story.cast import FIVE
from story.hosts import Unexpected
from story.steps import on_each

HOME, STANDBY = FIVE.directors
SCRIPT: Final = (Path(__file__).resolve().parent / "download.py").read_text()
SECONDS: Final = 25.0
"""How long the download takes: longer than the switchover and the way back."""


class Download:
    """A download through the VIP, fetched by the client while a switchover goes to and fro."""

    def __init__(self) -> None:
        self._report: dict[str, Any] = {}
        self._thread: threading.Thread | None = None

    def begin(self, field: Field) -> None:
        """Serve it on both real servers, begin it, and wait until the standby knows the connection."""
        serve = f"systemd-run -q --collect --unit=download python3 /root/download.py serve {PORTS[0]}"
        running = "systemctl -q is-active download"
        on_each(
            lambda host: field.hosts.out(host, f"cat >/root/download.py; {running} || {serve}", stdin=SCRIPT),
            FIVE.real_servers,
        )
        push(field, Variant(ports=PORTS[:1]))
        self._thread = threading.Thread(target=self._fetch, args=(field,), name="download")
        self._thread.start()
        vip = field.cast.vip
        field.hosts.until(lambda: field.hosts.knows(STANDBY, vip, PORTS[0]), "the connection is on the standby")

    def _fetch(self, field: Field) -> None:
        command = f"python3 - fetch {field.cast.vip} {PORTS[0]} {SECONDS}"
        self._report = json.loads(field.hosts.out(field.cast.client, command, stdin=SCRIPT))

    def end(self, field: Field) -> None:
        """Wait for its end, and take its service away."""
        if self._thread:
            self._thread.join()
        push(field, Variant())
        on_each(lambda host: field.hosts.out(host, "systemctl stop download"), FIVE.real_servers)

    def survived(self, _: Field, __: Course) -> str:
        """See that the client got every block, on one connection."""
        if self._report.get("error") != "" or self._report["blocks"] != SECONDS * 10:
            raise Unexpected(f"a download to survive the switchover both ways, but: {self._report}")
        return f"a download of {SECONDS:.0f} s survived both ways, longest pause {self._report['gap']:.1f} s"


DOWNLOAD: Final = Download()


def push(field: Field, variant: Variant) -> None:
    """Push, and see that it converges."""
    answer = field.push(variant)
    if answer.get("outcome") != "converged":
        raise Unexpected(f"the push of the download's service to converge, but: {answer}")


def switch_over(field: Field) -> None:
    """Begin a long download, and let the other director take the VIP."""
    DOWNLOAD.begin(field)
    field.hosts.lbmaster(f"switchover {field.cast.vip} --to {STANDBY}")
    if not field.hosts.has_vip(STANDBY) or field.hosts.has_vip(HOME):
        raise Unexpected(f"the VIP to be on {STANDBY} only")


def switch_back(field: Field) -> None:
    """End the switchover, and wait for the download."""
    field.hosts.lbmaster(f"switchover {field.cast.vip} --back")
    field.hosts.until(lambda: field.hosts.has_vip(HOME), "the VIP is home again")
    DOWNLOAD.end(field)


FAULTS: Final = (
    Fault(
        "planned switchover, and back",
        "`lbmaster switchover`: no connection is broken, given `ipvs: {sync: {}}`, but for a request that is on its way in the very moment: a new connection reaches the other director only after some packets.",
        do=switch_over,
        undo=switch_back,
        losing=Losing.NOTHING,
        meanwhile=(told("vrrp.transition", STANDBY, state="MASTER"),),
        after=(told("vrrp.transition", HOME, state="MASTER"),),
        never=tuple(name for name in CALM if name != "failover"),
        look=DOWNLOAD.survived,
        random=False,
        short=True,
        in_flight=3,
    ),
)
