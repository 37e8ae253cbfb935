"""Timeouts of a real kernel's IPVS; `ipvsadm` is the reader that is not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.uml.inside import planning
from tests.uml.inside.conftest import run

from lbminion.errors import NoIpvs
from lbminion.handlers.ipvs import IpvsTable
from lbminion.handlers.timeouts import IpvsTimeouts
from lbminion.netlink.ipvs import Ipvs
from lbstates.kinds.timeouts import Timeouts
from lbstates.plan import index

KERNELS = Timeouts(900, 120, 300)
WANTED = Timeouts(600, 60, 30)


@pytest.fixture
def timeouts(loaded: None) -> Iterator[IpvsTimeouts]:
    table = IpvsTable()
    yield IpvsTimeouts(table.table)
    table.table().set_timeouts(KERNELS)
    table.close()


def shown() -> str:
    return run("ipvsadm", "-Ln", "--timeout").strip()


def test_timeouts_are_set_and_put_back(timeouts: IpvsTimeouts) -> None:
    before = planning.observe(timeouts, WANTED)
    assert before == {"timeouts": {"timeouts": KERNELS}}
    planning.make(timeouts, WANTED)
    assert shown() == "Timeout (tcp tcpfin udp): 600 60 30"
    owned = index([KERNELS])
    assert planning.apply(timeouts, planning.plan(timeouts, [], [WANTED], prior=owned)) == []
    assert shown() == "Timeout (tcp tcpfin udp): 900 120 300"


def test_what_somebody_set_is_drift(timeouts: IpvsTimeouts) -> None:
    planning.make(timeouts, WANTED)
    run("ipvsadm", "--set", "100", "60", "30")
    (step,) = planning.plan(timeouts, [WANTED])
    assert step.describe() == "~ timeouts: tcp 100 s, tcpfin 60 s, udp 30 s -> tcp 600 s, tcpfin 60 s, udp 30 s"
    planning.make(timeouts, WANTED)


def test_a_zero_leaves_the_kernels_own(timeouts: IpvsTimeouts) -> None:
    assert planning.apply(timeouts, planning.plan(timeouts, [Timeouts(0, 0, 77)])) == []
    assert shown() == "Timeout (tcp tcpfin udp): 900 120 77"


@pytest.mark.parametrize("bad", [Timeouts(-1, 0, 0), Timeouts(1 << 33, 0, 0), Timeouts(1 << 31, 1, 1)])
def test_bad_timeouts_are_named(timeouts: IpvsTimeouts, bad: Timeouts) -> None:
    (error,) = planning.apply(timeouts, planning.plan(timeouts, [bad]))
    assert error.kind == "timeouts"
    assert shown() == "Timeout (tcp tcpfin udp): 900 120 300"


def test_without_ipvs_there_are_none_and_the_plan_can_be_made() -> None:
    def missing() -> Ipvs:
        raise NoIpvs

    assert planning.observe(IpvsTimeouts(missing), WANTED) == {"timeouts": {}}


def test_without_rights_they_cannot_be_set(timeouts: IpvsTimeouts) -> None:
    changes = planning.plan(timeouts, [WANTED])
    os.seteuid(65534)
    try:
        (error,) = planning.apply(timeouts, changes)
    finally:
        os.seteuid(0)
    assert "CAP_NET_ADMIN" in str(error)
