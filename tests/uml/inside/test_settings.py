"""Timeouts and synchronisation daemons, set by us and read by ipvsadm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.uml.inside.conftest import altered, change, put, run

from lbminion.errors import ChangeError
from lbminion.netlink.ipvs import Ipvs
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.service import Service
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.kinds.timeouts import Timeouts

MASTER = SyncDaemon("master", 5, "lb0", 1472, "224.0.0.81", 8848, 1)
BACKUP = SyncDaemon("backup", 255, "lb0", 1024, "ff02::81", 9999, 3)


@pytest.fixture
def table(ipvs: Ipvs) -> Iterator[Ipvs]:
    """A table, no daemons, and an interface for them."""
    run("ip", "link", "add", "lb0", "type", "dummy")
    run("ip", "link", "set", "lb0", "up")
    run("ip", "address", "add", "10.8.0.1/24", "dev", "lb0")
    yield ipvs
    for role in ("master", "backup"):
        ipvs.stop_daemon(role)
    run("ip", "link", "delete", "lb0")


def test_timeouts_are_set_and_read(ipvs: Ipvs) -> None:
    before = ipvs.read_timeouts()
    wanted = Timeouts(tcp=800, tcpfin=100, udp=30)
    ipvs.set_timeouts(wanted)
    assert ipvs.read_timeouts() == wanted
    assert "800 100 30" in run("ipvsadm", "-Ln", "--timeout")
    ipvs.set_timeouts(before)


def test_a_timeout_of_zero_stays_as_it_is(ipvs: Ipvs) -> None:
    before = ipvs.read_timeouts()
    ipvs.set_timeouts(Timeouts(0, 0, before.udp + 7))
    assert ipvs.read_timeouts() == altered(before, udp=before.udp + 7)
    ipvs.set_timeouts(before)


def test_a_timeout_that_cannot_be_is_named(ipvs: Ipvs) -> None:
    with pytest.raises(ChangeError, match="udp timeout -1 is out of range"):
        ipvs.set_timeouts(Timeouts(0, 0, -1))


def test_both_daemons_are_started_read_and_stopped(table: Ipvs) -> None:
    assert table.read_daemons() == {}
    table.start_daemon(MASTER)
    table.start_daemon(BACKUP)
    assert table.read_daemons() == {"master": MASTER, "backup": BACKUP}
    assert run("ipvsadm", "-Ln", "--daemon").splitlines() == [
        "master sync daemon (mcast=lb0, syncid=5, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)",
        "backup sync daemon (mcast=lb0, syncid=255, maxlen=1024, group=ff02::81, port=9999, ttl=3)",
    ]
    table.stop_daemon("master")
    assert table.read_daemons() == {"backup": BACKUP}


def test_a_daemon_that_ipvsadm_started_is_read(table: Ipvs) -> None:
    run("ipvsadm", "--start-daemon", "master", "--mcast-interface", "lb0", "--syncid", "5")
    assert table.read_daemons() == {"master": MASTER}


def test_stopping_a_daemon_that_has_not_run_yet_gets_its_answer(table: Ipvs) -> None:
    """The kernel acknowledges nothing when the thread never ran: again and again, so that it happens."""
    for _ in range(5):
        table.start_daemon(MASTER)
        table.stop_daemon("master")
    assert table.read_daemons() == {}


def test_stopping_what_does_not_run_is_fine(table: Ipvs) -> None:
    table.stop_daemon("backup")


@pytest.mark.parametrize(
    "daemon",
    [altered(MASTER, maximum_length=1), altered(MASTER, maximum_length=65507), altered(BACKUP, maximum_length=65487)],
)
def test_the_lengths_that_are_let_through_are_those_that_the_kernel_keeps(table: Ipvs, daemon: SyncDaemon) -> None:
    table.start_daemon(daemon)
    assert table.read_daemons() == {daemon.role: daemon}


@pytest.mark.parametrize(
    ("daemon", "reason"),
    [
        (altered(MASTER, interface="nosuch"), "no such interface"),
        (altered(MASTER, interface="a" * 16), "is no name of an interface"),
        (altered(MASTER, maximum_length=65508), "maximum length 65508 is out of range: 1 to 65507"),
        (altered(MASTER, maximum_length=0), "maximum length 0 is out of range"),
        (altered(BACKUP, maximum_length=1023), "maximum length 1023 is out of range: 1024 to 65487"),
        (altered(MASTER, sync_id=256), "sync id 256 is out of range"),
        (altered(MASTER, group="10.0.0.1"), "refuses these parameters"),
        (altered(MASTER, group="nowhere"), "is no IP address"),
        (altered(MASTER, port=65536), "port 65536 is out of range"),
        (altered(MASTER, ttl=256), "ttl 256 is out of range"),
    ],
)
def test_a_daemon_that_cannot_be_is_named(table: Ipvs, daemon: SyncDaemon, reason: str) -> None:
    with pytest.raises(ChangeError, match=reason):
        table.start_daemon(daemon)
    assert table.read_daemons() == {}


def test_a_second_daemon_of_a_role_says_that_one_runs(table: Ipvs) -> None:
    table.start_daemon(MASTER)
    with pytest.raises(ChangeError, match="runs already"):
        table.start_daemon(altered(MASTER, port=9999))


def test_mixed_families_and_synchronisation_exclude_each_other(table: Ipvs) -> None:
    web = Service("tcp", "2001:db8::200", 80, "rr")
    four = Destination(web.identity, "172.28.128.10", 80, "tunnel", 1, tunnel=Tunnel())
    put(table, "add", web, four)
    with pytest.raises(ChangeError, match="other address family"):
        table.start_daemon(MASTER)
    put(table, "remove", four)
    table.start_daemon(MASTER)
    (error,) = table.apply([change("add", four)])
    assert "no connection synchronisation" in str(error)
