"""Connection synchronisation of a real kernel; `ipvsadm` is the reader that is not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
import pytest
from tests.uml.inside import planning
from tests.uml.inside.conftest import run

from lbminion.errors import NoIpvs
from lbminion.handlers.ipvs import IpvsTable
from lbminion.handlers.sync_daemons import SyncDaemons
from lbminion.netlink.ipvs import Ipvs
from lbstates.kinds.sync_daemon import SyncDaemon

SENDS = SyncDaemon("master", 7, "sync0", 1400, "224.0.0.81", 8848, 1)
RECEIVES = SyncDaemon("backup", 7, "sync0", 1400, "224.0.0.81", 8848, 1)


@pytest.fixture
def daemons(loaded: None) -> Iterator[SyncDaemons]:
    run("ip", "link", "add", "sync0", "type", "dummy")
    run("ip", "link", "set", "sync0", "up")
    run("ip", "address", "add", "10.88.0.1/24", "dev", "sync0")
    table = IpvsTable()
    handler = SyncDaemons(table.table)
    yield handler
    planning.remove(handler, SENDS, RECEIVES)
    table.close()
    run("ip", "link", "del", "sync0")


def shown() -> list[str]:
    return sorted(line.strip() for line in run("ipvsadm", "-Ln", "--daemon").splitlines())


@pytest.mark.pitfall("I11")
def test_both_daemons_run_as_they_shall(daemons: SyncDaemons) -> None:
    planning.make(daemons, SENDS, RECEIVES)
    common = "sync daemon (mcast=sync0, syncid=7, maxlen=1400, group=224.0.0.81, port=8848, ttl=1)"
    assert shown() == [f"backup {common}", f"master {common}"]
    planning.remove(daemons, SENDS, RECEIVES)
    assert shown() == []


@pytest.mark.parametrize(
    "other",
    [
        {"sync_id": 8},
        {"maximum_length": 1300},
        {"group": "224.0.0.99"},
        {"port": 9999},
        {"ttl": 3},
        {"group": "ff02::81"},
    ],
)
def test_a_changed_daemon_is_stopped_and_started(daemons: SyncDaemons, other: dict[str, object]) -> None:
    planning.make(daemons, SENDS, RECEIVES)
    changed = msgspec.structs.replace(SENDS, **other)
    assert [step.verb for step in planning.plan(daemons, [changed, RECEIVES])] == ["set"]
    planning.make(daemons, changed, RECEIVES)
    planning.make(daemons, SENDS, RECEIVES)


@pytest.mark.pitfall("I11")
def test_a_daemon_that_somebody_stopped_is_drift(daemons: SyncDaemons) -> None:
    planning.make(daemons, SENDS, RECEIVES)
    run("ipvsadm", "--stop-daemon", "backup")
    (step,) = planning.plan(daemons, [SENDS, RECEIVES])
    assert step.verb == "add"
    assert step.identity == "backup"
    planning.make(daemons, SENDS, RECEIVES)


def test_stopping_what_ended_meanwhile_is_fine(daemons: SyncDaemons) -> None:
    planning.make(daemons, SENDS)
    changes = planning.plan(daemons, [], [SENDS])
    run("ipvsadm", "--stop-daemon", "master")
    assert planning.apply(daemons, changes) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"interface": "nowhere0"}, "no such interface"),
        ({"interface": "a-name-that-is-too-long"}, ""),
        ({"group": "10.0.0.1"}, ""),
        ({"group": "nonsense"}, "nonsense"),
        ({"port": 70000}, ""),
        ({"ttl": 300}, ""),
        ({"maximum_length": 100000}, ""),
    ],
)
def test_a_bad_daemon_is_named(daemons: SyncDaemons, bad: dict[str, object], said: str) -> None:
    wrong = msgspec.structs.replace(SENDS, **bad)
    (error,) = planning.apply(daemons, planning.plan(daemons, [wrong]))
    assert error.identity == "master"
    assert said in str(error)
    assert shown() == []


def test_without_ipvs_there_are_none_and_the_plan_can_be_made() -> None:
    def missing() -> Ipvs:
        raise NoIpvs

    assert planning.observe(SyncDaemons(missing), SENDS) == {"sync_daemon": {}}


def test_without_rights_a_daemon_cannot_be_started(daemons: SyncDaemons) -> None:
    changes = planning.plan(daemons, [SENDS])
    os.seteuid(65534)
    try:
        (error,) = planning.apply(daemons, changes)
    finally:
        os.seteuid(0)
    assert "CAP_NET_ADMIN" in str(error)
