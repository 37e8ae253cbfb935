"""What `lbmaster import` makes of a keepalived.conf is what keepalived makes of it: IPVS table and VRRP instances.

keepalived runs the original (without its health checks, because nobody answers them here), and then the file that is
rendered from the imported cluster. Both are asked what they have: the kernel by ipvsadm, keepalived by SIGUSR1.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.uml.inside import modules
from tests.uml.inside.conftest import run, saved
from tests.waiting import until

from lbminion.netlink.ipvs import Ipvs
from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.facts import HostFacts
from lbstates.importing import Order, import_cluster
from lbstates.importing.importer import Given
from lbstates.ipvsadm_save import save
from lbstates.kinds.destination import Destination
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.service import Service
from lbstates.plan import Change
from lbstates.resources import resources_for

SAMPLES = Path(__file__).parents[2] / "states" / "importing" / "samples"
DIRECTOR = {"eth0": "192.168.200.250", "eth1": "192.168.201.250", "eth2": "10.99.0.250"}

EVERYTHING = """
global_defs { vrrp_version 3 }
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    advert_int 0.5
    virtual_ipaddress {
        192.168.200.50/24
        192.168.200.51/24 dev eth1
    }
}
vrrp_instance VI_6 {
    interface eth1
    virtual_router_id 52
    virtual_ipaddress {
        fd00::50/64
    }
}
$RS= \\
real_server 192.168.200.${N} 8080 { \\
    weight ${N} \\
}
virtual_server 192.168.200.50 80 {
    protocol TCP
    lb_algo wrr
    lb_kind NAT
    persistence_timeout 300
    persistence_granularity 255.255.255.0
    ~SEQ(N, 60, 62) $RS
    @d1 real_server 192.168.200.70 80 { weight 0 }
    @d2 real_server 192.168.200.71 80 { weight 0 }
}
virtual_server 192.168.200.50 53 {
    protocol UDP
    ops
    lvs_sched rr
    lvs_method DR
    real_server 192.168.200.60 5353 { }
    real_server 192.168.200.61 { lvs_method TUN type gue port 6080 csum }
    real_server 192.168.200.62 { lvs_method NAT }
}
virtual_server 192.168.200.50 5060 {
    lvs_sched wlc
    lvs_method TUN type gre nocsum
    persistence_timeout 60
    real_server 192.168.200.60 5060 { }
}
virtual_server 192.168.200.50 99 {
    protocol SCTP
    lb_algo sh
    sh-port
    sh-fallback
    lb_kind DR
    real_server 192.168.200.60 99 { }
}
virtual_server 192.168.200.50 {
    protocol TCP
    lb_algo lc
    lb_kind DR
    real_server 192.168.200.60 { }
}
virtual_server fd00::50 443 {
    protocol TCP
    persistence_timeout 60
    persistence_granularity 64
    lb_kind DR
    real_server fd00::60 443 { }
}
virtual_server fwmark 7 {
    lb_algo wlc
    lb_kind DR
    persistence_timeout
    real_server 192.168.200.60 80 { }
}
virtual_server_group G {
    192.168.200.80-81 81
    192.168.200.84/31 82
    fwmark 8
}
virtual_server group G {
    protocol TCP
    lb_kind NAT
    real_server 192.168.200.60 8080 { }
    real_server 192.168.200.61 8081 { weight 65535 }
}
"""
CASES = {
    "services": ("HTTP_GET.port", "virtual_server_group", "fwmark", "sample", "IPv6"),
    "everything": ("quorum",),
    "vrrp": ("vrrp",),
    "vrrp.sync": ("vrrp.sync",),
    "vrrp.lvs_syncd": ("vrrp.lvs_syncd",),
}
"""The samples that are imported as one file: two times two keepaliveds for each would take its time."""
LEFT_OUT = "-r 192.168.200.1:1358"
"""A real server of one sample that has the address of a VIP: the report says that it is not imported."""

SORRY = ("192.168.200.200", 1358)
"""The sorry server of one sample."""

_CHECKERS = re.compile(r"^\s*(HTTP_GET|SSL_GET|TCP_CHECK|SMTP_CHECK|MISC_CHECK|UDP_CHECK|PING_CHECK)\b")


def _waits(one: Service | Destination) -> bool:
    """Whether it is a sorry server: keepalived enters it when it is needed, we have it there with weight 0."""
    return isinstance(one, Destination) and (one.address, one.port) == SORRY


def original(case: str) -> str:
    """The text without its checkers, and without alpha mode, which waits for them."""
    texts = [(SAMPLES / f"keepalived.conf.{name}").read_text() for name in CASES[case]]
    # Mark 1 is that of another sample.
    text = "\n".join(texts).replace("virtual_server fwmark 1 ", "virtual_server fwmark 3 ")
    kept, depth = [], 0
    for line in text.splitlines():
        if depth or _CHECKERS.match(line):
            depth += line.partition("#")[0].count("{") - line.partition("#")[0].count("}")
        elif line.split() != ["alpha"]:
            kept.append(line)
    return "\n".join(kept) + (EVERYTHING if case == "everything" else "")


def derived(**order: object) -> tuple[Resource, ...]:
    """Import, check, compile, and derive what the director has."""
    imported = import_cluster(Order(addresses={"d1": [DIRECTOR["eth0"]]}, **order), NoFiles())
    state = compile_cluster(parse(imported.text, "imported.yaml"))["director"]
    facts = HostFacts(
        interfaces={address: name for name, address in DIRECTOR.items()},
        keepalived_version="2.2.7",
        fifo="/run/tmp/fifo",
        lock="/run/tmp/lock",
        mtus=dict.fromkeys(DIRECTOR, 1500),
    )
    return resources_for(state, "d1", facts)


@dataclass(frozen=True)
class Running:
    """A keepalived and its directory."""

    process: subprocess.Popen[bytes]
    where: Path


class NoFiles:
    """Nothing is included here."""

    def find(self, pattern: str, directory: str) -> list[str]:
        raise AssertionError(pattern)

    def read(self, name: str) -> str:
        raise AssertionError(name)

    def directory(self, name: str) -> str:
        return "/"


@pytest.fixture(scope="module")
def interfaces() -> Iterator[None]:
    """Three dummy interfaces with an address each, and the kernel modules that the files need."""
    modules.load(*("ip_vs", "dummy"), *(f"ip_vs_{name}" for name in ("rr", "wrr", "wlc", "lc", "sh")))
    for name, address in DIRECTOR.items():
        run("ip", "link", "add", name, "type", "dummy")
        run("ip", "address", "add", f"{address}/24", "dev", name)
        run("ip", "link", "set", name, "up", "multicast", "on")
    yield
    for name in DIRECTOR:
        run("ip", "link", "delete", name)


@contextmanager
def keepalived(text: str, where: Path, *options: str) -> Iterator[Running]:
    """keepalived with a directory of its own, also for what it dumps."""
    where.mkdir()
    (where / "conf").write_text(text)
    pids = [f"--{name}={where}/{name}" for name in ("pid", "vrrp_pid", "checkers_pid")]
    command = ["keepalived", "-n", "-l", "-G", "-B", "-i", "d1", "-f", str(where / "conf"), *pids, *options]
    with (where / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(where)})
    try:
        until(lambda: (where / "pid").exists() or process.poll() is not None, (where / "log").read_text)
        assert process.poll() is None, (where / "log").read_text()
        yield Running(process, where)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def instances(dump: str) -> dict[int, dict[str, object]]:
    """What keepalived says of its instances, by virtual router id; without names and priorities, which are ours."""
    found: dict[int, dict[str, object]] = {}
    for part in dump.split(" VRRP Instance = ")[1:]:
        said = dict(re.findall(r"^   ([A-Z][A-Za-z ]*) = (.*)$", part, re.MULTILINE))
        if "Notify priority changes" not in said:
            continue  # half a dump
        number = int(said["Virtual Router ID"])
        fields = ("VRRP Version", "Interface", "Advert interval", "Authentication type", "Password", "Preempt")
        found[number] = {name: said.get(name) for name in fields}
        found[number]["vips"] = set(re.findall(r"^     (\S+ dev \S+)", part, re.MULTILINE))
    return found


def dumped(running: Running, expected: int) -> dict[int, dict[str, object]]:
    """Have keepalived write its dump, and read it when all instances are in it."""
    until((running.where / "vrrp_pid").exists, (running.where / "log").read_text)
    found: dict[int, dict[str, object]] = {}

    def complete() -> bool:
        # Again and again: a signal that comes before keepalived has read its file is lost.
        running.process.send_signal(signal.SIGUSR1)
        path = running.where / "keepalived.data"
        found.update(instances(path.read_text()) if path.exists() else {})
        return len(found) >= expected

    until(complete, (running.where / "log").read_text)
    return found


@pytest.mark.parametrize("case", CASES)
def test_what_is_imported_is_what_keepalived_made(case: str, ipvs: Ipvs, interfaces: None, tmp_path: Path) -> None:
    """Line by line in the kernel's table, and field by field in the instances; the table itself is imported, too.

    Both keepalived run at once, which saves time: what they have been told does not depend on who is master.
    """
    text = original(case)
    resources = derived(keepalived=[Given("d1", "original.conf", text)])
    wanted = [one for one in resources if isinstance(one, Service | Destination) and not _waits(one)]
    kinds = {Service: "service", Destination: "destination"}
    assert not ipvs.apply([Change(kinds[type(one)], "add", one.identity, before=None, after=one) for one in wanted])
    ours = saved()
    if ours:
        assert sorted(save(derived(ipvsadm=[Given("d1", "table", run("ipvsadm", "-Sn"))]))) == ours
    run("ipvsadm", "-C")
    (rendered,) = (one for one in resources if isinstance(one, Keepalived))
    assert rendered.config is not None

    def theirs() -> list[str]:
        return [line for line in saved() if f"{LEFT_OUT} " not in line]

    with (
        keepalived(text, tmp_path / "original") as original_one,
        keepalived(rendered.config, tmp_path / "rendered", "--vrrp") as rendered_one,
    ):
        until(lambda: theirs() == ours, (tmp_path / "original" / "log").read_text)
        count = len(re.findall(r"^\s*vrrp_instance ", text, re.MULTILINE))
        their_instances = dumped(original_one, count) if count else {}
        our_instances = dumped(rendered_one, rendered.config.count("vrrp_instance "))
        assert our_instances, (tmp_path / "rendered" / "log").read_text()
    for number, instance in their_instances.items():
        assert our_instances.get(number) == instance, f"virtual router {number}"
