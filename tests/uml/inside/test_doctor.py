"""What the doctor says of a real IPVS on which somebody did what the pitfalls tell of."""

from __future__ import annotations

import platform
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.uml.inside import modules, planning
from tests.uml.inside.conftest import put, run

from lbminion.doctor import differences, facts, offloads, reading, settings, table
from lbminion.doctor.symptom import Symptom
from lbminion.handlers.ipvs import IpvsTable
from lbminion.handlers.links import TunnelLinks
from lbminion.handlers.sysctls import Sysctls
from lbminion.handlers.timeouts import IpvsTimeouts
from lbminion.netlink.ipvs import Ipvs
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.link import Link
from lbstates.kinds.service import Persistence, Service
from lbstates.kinds.sysctl import Sysctl
from lbstates.kinds.timeouts import Timeouts

VIP = "10.66.0.100"
WEB = Service("tcp", VIP, 80, "rr")
STICKY = Service("tcp", VIP, 443, "rr", persistence=Persistence(300, 32))
DNS = Service("udp", VIP, 53, "rr")
NAT = Destination(WEB.identity, "10.66.0.11", 80, "masquerade", 1)
TUN = Destination(WEB.identity, "10.66.0.12", 80, "tunnel", 1, tunnel=Tunnel())
VS = "net/ipv4/vs"


def written(key: str, value: str) -> None:
    """Set a kernel setting as an operator would."""
    Path("/proc/sys", key).write_text(value)


def ids(*symptoms: Symptom) -> list[str]:
    return [symptom.id for symptom in symptoms]


def values() -> dict[str, str]:
    return reading.settings(settings.IPVS_KEYS)


@pytest.fixture
def network(ipvs: Ipvs) -> Iterator[Ipvs]:
    """A director's interface with the VIP."""
    run("ip", "link", "add", "doc0", "type", "dummy")
    run("ip", "link", "set", "doc0", "up")
    run("ip", "address", "add", "10.66.0.1/24", "dev", "doc0")
    run("ip", "address", "add", f"{VIP}/32", "dev", "doc0")
    yield ipvs
    run("ip", "link", "del", "doc0")


@pytest.mark.pitfall("I1")
@pytest.mark.pitfall("S7")
def test_an_emptied_table_is_told_service_by_service(ipvs: Ipvs) -> None:
    """After `ipvsadm -C`; the digest by which directors are compared is another one, too."""
    handler = IpvsTable()
    planning.make(handler, WEB, NAT)
    before = facts.of_ipvs([WEB], [NAT], [])["ipvs"]
    run("ipvsadm", "-C")
    found = list(differences.judge(planning.plan(handler, [WEB, NAT]), held=False))
    assert [(it.id, it.subject) for it in found] == [
        ("I1", f"service {WEB.identity}"),
        ("I1", f"destination {NAT.identity}"),
    ]
    assert facts.of_ipvs([], [], [])["ipvs"] != before
    handler.close()


@pytest.mark.pitfall("I1")
def test_a_weight_that_somebody_changed_is_told(ipvs: Ipvs) -> None:
    """With what is there and what shall be."""
    handler = IpvsTable()
    planning.make(handler, WEB, NAT)
    run("ipvsadm", "-e", "-t", f"{VIP}:80", "-r", "10.66.0.11:80", "-m", "-w", "9")
    (found,) = differences.judge(planning.plan(handler, [WEB, NAT]), held=False)
    assert found.seen == "masquerade, weight 9; it shall be: masquerade, weight 1"
    handler.close()


@pytest.mark.pitfall("I9")
def test_a_full_connection_table_is_found(network: Ipvs) -> None:
    """One datagram from each of 4,200 ports makes as many connections, in 4,096 buckets."""
    put(network, "add", DNS, Destination(DNS.identity, "10.66.0.11", 53, "masquerade", 1))
    empty = table.load(reading.text("/proc/net/ip_vs"))
    assert empty is not None
    assert not list(table.judge_load(empty))
    for port in range(20000, 20000 + empty.buckets + 104):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((VIP, port))
            client.sendto(b"x", (VIP, 53))
    full = table.load(reading.text("/proc/net/ip_vs"))
    assert full is not None
    assert full.connections > full.buckets == empty.buckets
    (found,) = table.judge_load(full)
    assert (found.id, found.subject) == ("I9", "connection table")


@pytest.mark.pitfall("I4")
@pytest.mark.pitfall("I12")
@pytest.mark.pitfall("R9")
@pytest.mark.pitfall("I7")
def test_the_kernels_own_settings_are_judged(ipvs: Ipvs) -> None:
    """Each as IPVS has it when it was just loaded, and as it should be."""
    for key in (f"{VS}/expire_quiescent_template", f"{VS}/backup_only", "net/ipv4/ip_forward"):
        written(key, "0")
    written(f"{VS}/sync_threshold", "3 50")
    now = values()
    assert ids(*settings.judge_ipvs(now, [WEB, STICKY], platform.release())) == ["I4"]
    assert ids(*settings.judge_sync_threshold(now, synchronised=True)) == ["I12"]
    assert ids(*settings.judge_both_roles(now, [f"{VIP}/32"])) == ["R9"]
    assert ids(*settings.judge_forwarding(now, [NAT])) == ["I7"]
    for key in (f"{VS}/expire_quiescent_template", f"{VS}/backup_only", "net/ipv4/ip_forward"):
        written(key, "1")
    written(f"{VS}/sync_threshold", "0 50")
    now = values()
    assert not list(settings.judge_ipvs(now, [WEB, STICKY], platform.release()))
    assert not list(settings.judge_sync_threshold(now, synchronised=True))
    assert not list(settings.judge_both_roles(now, [f"{VIP}/32"]))
    assert not list(settings.judge_forwarding(now, [NAT]))
    written("net/ipv4/ip_forward", "0")


@pytest.mark.pitfall("I6")
def test_the_pair_that_costs_a_second_is_judged_by_the_kernels_version(ipvs: Ipvs) -> None:
    """This kernel has it right; the same settings on an older one are found."""
    written(f"{VS}/conntrack", "1")
    written(f"{VS}/conn_reuse_mode", "1")
    assert not list(settings.judge_ipvs(values(), [WEB], platform.release()))
    assert ids(*settings.judge_ipvs(values(), [WEB], "5.4.0-generic")) == ["I6"]
    written(f"{VS}/conntrack", "0")


@pytest.mark.pitfall("I8")
def test_a_setting_of_ipvs_that_somebody_changed_is_told(ipvs: Ipvs) -> None:
    """As what it may be: set before the module was loaded, or changed by hand."""
    wanted = Sysctl(f"{VS}/conn_reuse_mode", "0")
    written(wanted.key, "1")
    (found,) = differences.judge(planning.plan(Sysctls(), [wanted]), held=False)
    assert (found.id, found.seen) == ("I8", "1; it shall be: 0")


@pytest.mark.pitfall("I5")
def test_the_udp_timeout_of_the_kernel_is_judged(ipvs: Ipvs) -> None:
    """300 s as it comes, 30 as it should be for datagrams that are quickly answered."""
    handler = IpvsTimeouts(lambda: ipvs)
    for udp, expected in ((300, ["I5"]), (30, [])):
        run("ipvsadm", "--set", "0", "0", str(udp))
        (found,) = planning.observe(handler, Timeouts(0, 0, 30))["timeouts"].values()
        assert isinstance(found, Timeouts)
        assert ids(*settings.judge_udp([DNS], found.udp)) == expected
    run("ipvsadm", "--set", "0", "0", "300")


@pytest.mark.pitfall("R4")
@pytest.mark.pitfall("R5")
def test_tunnels_are_judged_on_both_ends(network: Ipvs) -> None:
    """Strict filtering and a device that is down on a real server; a narrow way and pmtu_disc on a director."""
    modules.load("ipip")
    run("ip", "link", "set", "tunl0", "down")
    handler = TunnelLinks()
    (found,) = differences.judge(planning.plan(handler, [Link("tunl0", "ipip")]), held=False)
    assert found.id == "R4"
    handler.close()
    run("ip", "link", "set", "tunl0", "up")
    for value, expected in (("1", ["R4"]), ("0", [])):
        written("net/ipv4/conf/all/rp_filter", value)
        written("net/ipv4/conf/tunl0/rp_filter", "0")
        kernel = reading.settings(settings.interface_keys(["tunl0"]))
        assert ids(*settings.judge_tunnel_filters(kernel, ["tunl0"], {"tunl0"})) == expected
    run("ip", "link", "set", "doc0", "mtu", "1400")
    assert ids(*offloads.judge_paths([TUN], {TUN.address: reading.mtu("doc0")}, {})) == ["R5"]
    run("ip", "link", "set", "doc0", "mtu", "1520")
    written(f"{VS}/pmtu_disc", "0")
    assert ids(*offloads.judge_paths([TUN], {TUN.address: reading.mtu("doc0")}, values())) == ["R5"]
    written(f"{VS}/pmtu_disc", "1")
    assert not list(offloads.judge_paths([TUN], {TUN.address: reading.mtu("doc0")}, values()))


@pytest.mark.pitfall("I2")
def test_entries_of_somebody_else_are_told(ipvs: Ipvs) -> None:
    """What stands in the table and is not ours."""
    run("ipvsadm", "-A", "-t", f"{VIP}:25", "-s", "rr")
    found = ipvs.read()
    (told,) = table.judge_foreign(found.services.keys() - {WEB.identity})
    assert f"tcp {VIP}:25" in told.seen
