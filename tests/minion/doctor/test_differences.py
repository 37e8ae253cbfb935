"""The plan, told by what each change means."""

from __future__ import annotations

import pytest

from lbminion.doctor import differences
from lbstates.kinds.address import Address
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.destination import Destination
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.link import Link
from lbstates.kinds.module import Module
from lbstates.kinds.service import Service
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import Change, diff, index

WEB = Service("tcp", "10.0.0.100", 80, "wlc")
VIP = Address("lo", "10.0.0.100/32")


def missing(resource: Resource, *, held: bool = False) -> list[tuple[str, str]]:
    """The symptoms of a host that lacks one thing."""
    plan = diff(index([resource]), {}, {})
    return [(it.id, it.severity) for it in differences.judge(plan, held=held)]


@pytest.mark.parametrize(
    ("resource", "pitfall"),
    [
        pytest.param(WEB, "I1", marks=[pytest.mark.pitfall("I1"), pytest.mark.pitfall("S7")]),
        pytest.param(Destination(WEB.identity, "10.0.0.11", 80, "direct", 1), "I1", marks=pytest.mark.pitfall("I1")),
        pytest.param(Module("ip_vs"), "I8", marks=pytest.mark.pitfall("I8")),
        pytest.param(Sysctl("net/ipv4/vs/conn_reuse_mode", "0"), "I8", marks=pytest.mark.pitfall("I8")),
        pytest.param(Sysctl("net/ipv4/vs/backup_only", "1"), "R9", marks=pytest.mark.pitfall("R9")),
        pytest.param(Sysctl("net/ipv4/conf/all/arp_ignore", "1"), "R2", marks=pytest.mark.pitfall("R2")),
        pytest.param(Sysctl("net/ipv4/conf/tunl0/rp_filter", "0"), "R4", marks=pytest.mark.pitfall("R4")),
        pytest.param(Sysctl("net/ipv4/ip_forward", "1"), "I7", marks=pytest.mark.pitfall("I7")),
        pytest.param(Clamp("10.0.0.100", 1440), "R5", marks=pytest.mark.pitfall("R5")),
        pytest.param(Link("tunl0", "ipip"), "R4", marks=pytest.mark.pitfall("R4")),
        pytest.param(
            SyncDaemon("master", 1, "eth0", 1472, "224.0.0.81", 8848, 1), "I11", marks=pytest.mark.pitfall("I11")
        ),
        pytest.param(Keepalived("text\n", running=True), "V14", marks=pytest.mark.pitfall("V14")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Resource) else value,
)
def test_each_missing_thing_is_told_by_its_pitfall(resource: Resource, pitfall: str) -> None:
    """As an error: the host is not what was released."""
    assert missing(resource) == [(pitfall, "error")]


@pytest.mark.pitfall("S6")
def test_a_file_that_was_edited_on_the_host_is_told() -> None:
    """And no password with it."""
    before = Keepalived("auth_pass secret\n", running=False)
    change = Change("keepalived", "set", "keepalived", before, Keepalived("auth_pass other\n", running=True))
    (found,) = differences.judge((change,), held=False)
    assert found.id == "S6"
    assert "secret" not in str(found)


def test_a_keepalived_that_an_operator_stopped_is_a_warning() -> None:
    """The minion respects it; the doctor reminds."""
    assert missing(Keepalived("text\n", running=True), held=True) == [("V14", "warning")]


def test_what_was_taken_out_and_is_still_there_is_told() -> None:
    """With what it is."""
    (found,) = differences.judge((Change("service", "remove", WEB.identity, WEB),), held=False)
    assert found.seen == "wlc; it shall not be there"


def test_addresses_are_left_to_those_who_look_at_what_is_there_instead() -> None:
    """A VIP with a wrong mask is one thing, not two."""
    assert missing(VIP) == []
