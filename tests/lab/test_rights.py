"""What the two services may do on a real system: systemd's own verdict, the processes, and trying what they must not do.

The trying is done in each unit as it is installed, with another program in it. Plays on one guest of its own, which is
director and master, or on the lab of LB_TEST_LAB.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.lab.bench import figures

from microvm.lab import Lab
from microvm.topology import parse

TRYING = Path(__file__).resolve().parent / "trying.py"
ONE_GUEST = """
network: 172.28.128.0/24
hosts:
  alone: {address: 172.28.128.10, roles: [director, master], memory: 320}
"""
MOST_EXPOSED = {"lbmaster": 1.5, "lbminion": 3.0}
"""systemd's scores from 0 (locked in) to 10: they may fall."""
NET_ADMIN_AND_RAW = f"{1 << 12 | 1 << 13:016x}"
NOTHING = f"{0:016x}"
NO = {"EPERM", "EACCES", "EROFS", "ENOENT", "SIGSYS", "EAFNOSUPPORT", "ENOSYS", "ECHILD"}
"""How a refusal looks: by rights, by a file system that is read-only or empty, or by the filter of system calls."""

SET_UP = """
set -e
lbmaster init --listen {master} >/dev/null
systemctl enable -q --now lbmaster
for _ in $(seq 100); do lbmaster keys list >/dev/null 2>&1 && break; sleep 0.3; done
"""
JOIN = """
set -e
systemctl is-active -q lbminion && exit
lbminion join --master {master} --fingerprint {fingerprint} --token {token}
systemctl enable -q --now lbminion
"""


@dataclass(frozen=True)
class Site:
    """Where the two services run."""

    lab: Lab
    hosts: dict[str, str]

    def out(self, unit: str, command: str) -> str:
        """Run a command on the unit's host and return what it printed."""
        return self.lab.run(self.hosts[unit], command, timeout=120).stdout

    def status(self, unit: str) -> dict[str, str]:
        """Read /proc/PID/status of the unit's main process."""
        text = self.out(unit, f"cat /proc/$(systemctl show -p MainPID --value {unit})/status")
        return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}

    def tries(self, unit: str) -> dict[str, str]:
        """Run trying.py instead of the service, in its unit; then the service again. Gives what came of each attempt."""
        drop_in, report = f"/run/systemd/system/{unit}.service.d/trying.conf", f"/var/lib/{unit}/trying.json"
        self.lab.run(self.hosts[unit], "cat >/usr/local/bin/lb-trying.py", stdin=TRYING.read_text())
        program = f"ExecStart=/usr/bin/python3 /usr/local/bin/lb-trying.py {report}"
        words = f"[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\n{program}\n"
        self.lab.run(self.hosts[unit], f"mkdir -p $(dirname {drop_in}) && cat >{drop_in}", stdin=words)
        try:
            self.out(unit, f"systemctl stop {unit}; systemctl daemon-reload; systemctl start {unit}")
            found: dict[str, str] = json.loads(self.out(unit, f"cat {report}"))
        finally:
            self.out(unit, f"rm -f {drop_in} {report} /usr/local/bin/lb-trying.py")
            self.out(unit, f"systemctl daemon-reload; systemctl restart {unit}")
        return found


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A master, and a director that has joined it."""
    name = os.environ.get("LB_TEST_LAB")
    lab = Lab.attach(name) if name else Lab.up(parse(ONE_GUEST, "one guest"), name=f"test-{os.getpid()}-rights")
    try:
        by_role = {role: host for host in reversed(lab.topology.hosts) for role in host.roles}
        found = Site(lab, {"lbmaster": by_role["master"].name, "lbminion": by_role["director"].name})
        address = by_role["master"].address
        found.out("lbmaster", SET_UP.format(master=address))
        fingerprint = found.out("lbmaster", "lbmaster init").split("Fingerprint: ")[1].split()[0]
        token = found.out("lbmaster", "lbmaster keys token --ttl 10m").split()[-1]
        found.out("lbminion", JOIN.format(master=address, fingerprint=fingerprint, token=token))
        yield found
    finally:
        if not name:
            lab.down()


@pytest.mark.parametrize("unit", MOST_EXPOSED)
def test_systemd_finds_the_service_as_locked_in_as_it_was(site: Site, unit: str) -> None:
    """`systemd-analyze security` gives no worse score than the one that is written here."""
    text = site.out(unit, f"systemd-analyze security --no-pager {unit}.service")
    found = re.search(r"exposure level for \S+: ([0-9.]+)", text)
    assert found, text
    figures.append(f"exposure of {unit}.service: {found[1]} of 10")
    assert float(found[1]) <= MOST_EXPOSED[unit], text


def test_the_master_is_no_root_and_has_no_capability(site: Site) -> None:
    """It runs as its own user, and can gain nothing by running another program."""
    status = site.status("lbmaster")
    assert "0" not in status["Uid"].split()
    assert {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {NOTHING}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_minion_has_the_capabilities_of_its_unit_and_no_other(site: Site) -> None:
    """CAP_NET_ADMIN and CAP_NET_RAW, also in the bounding set: nothing that it starts has more."""
    status = site.status("lbminion")
    assert {status[f"Cap{which}"] for which in ("Prm", "Eff", "Bnd")} == {NET_ADMIN_AND_RAW}
    assert {status[f"Cap{which}"] for which in ("Inh", "Amb")} == {NOTHING}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_master_writes_its_own_directories_and_can_do_nothing_else(site: Site) -> None:
    """Every attempt to leave its unit is refused; what it needs is not."""
    found = site.tries("lbmaster")
    can = {"write its state", "listen above 1023"}
    assert {what for what, outcome in found.items() if outcome == "done"} == can, found
    assert {outcome for what, outcome in found.items() if what not in can} <= NO, found


def test_the_minion_changes_the_network_and_its_own_files_and_can_do_little_else(site: Site) -> None:
    """Of root's powers it has those over the network; files of other users are closed to it.

    One door stays open by design, because keepalived and the list of modules are systemd's business: it is root on the
    system bus. What takes over the minion's process takes over the host; that is why nothing that it is sent can run.
    """
    found = site.tries("lbminion")
    can = {
        "write its state", "listen above 1023", "set a sysctl of the network", "add an address",
        "open a raw socket", "open a packet socket", "write keepalived's directory", "write the list of modules",
        "write /tmp", "ask systemd",
    }  # fmt: skip
    assert {what for what, outcome in found.items() if outcome == "done"} == can, found
    assert {outcome for what, outcome in found.items() if what not in can} <= NO, found


def test_the_services_work_in_their_units(site: Site) -> None:
    """Both come up again, and what the minion has to say reaches the master's journal."""
    since = json.loads(site.out("lbmaster", "lbmaster events --limit 1 --json"))["cursor"]
    for unit in MOST_EXPOSED:
        site.out(unit, f"systemctl restart {unit}")
        assert site.out(unit, f"systemctl is-active {unit}").strip() == "active"
    heard = f"lbmaster events --follow --since {since} --type minion.started --host {site.hosts['lbminion']} --limit 1"
    site.out("lbmaster", f"timeout 60 {heard}")
