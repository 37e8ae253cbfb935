"""The minion remembers what is its own, and what was there before."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lbminion.ledger import Ledger
from lbminion.store import open_store
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import MARKER, Keepalived
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import diff, index

VIP = Address("lo", "172.28.128.200/32")
OLD, NEW = Sysctl("net/ipv4/conf/all/arp_ignore", "0"), Sysctl("net/ipv4/conf/all/arp_ignore", "1")


def test_what_was_taken_is_ours_after_a_restart_with_what_was_there_before(tmp_path: Path) -> None:
    """A sysctl keeps its earlier value; an address that nobody had has none."""
    Ledger(open_store(tmp_path)).take(index([VIP, NEW]), index([OLD]))
    owned = Ledger(open_store(tmp_path)).owned
    assert owned["address"] == {VIP.identity: None}
    assert owned["sysctl"] == {OLD.identity: OLD}


def test_the_earlier_value_is_remembered_once(tmp_path: Path) -> None:
    """Taking again must not mistake our own value for the earlier one."""
    ledger = Ledger(open_store(tmp_path))
    ledger.take(index([NEW]), index([OLD]))
    ledger.take(index([NEW]), index([NEW]))
    assert ledger.owned["sysctl"] == {OLD.identity: OLD}


def test_what_is_gone_and_not_desired_is_struck_out(tmp_path: Path) -> None:
    """Both here and on the disk."""
    ledger = Ledger(open_store(tmp_path))
    ledger.take(index([VIP, NEW]), index([OLD]))
    ledger.settle(index([]), index([VIP, NEW]))
    assert ledger.owned["address"] == {VIP.identity: None}
    ledger.settle(index([]), index([OLD]))
    assert not any(ledger.owned.values())
    assert not any(Ledger(open_store(tmp_path)).owned.values())


def test_leaving_a_cluster_removes_the_vip_first_and_then_restores_the_sysctl(tmp_path: Path) -> None:
    """The other way round the host would answer ARP for the VIP for a moment (pitfall R3)."""
    ledger = Ledger(open_store(tmp_path))
    ledger.take(index([NEW, VIP]), index([OLD]))
    plan = diff(index([]), index([NEW, VIP]), ledger.owned)
    assert [(change.verb, change.identity, change.after) for change in plan] == [
        ("remove", VIP.identity, None),
        ("set", OLD.identity, OLD),
    ]


def test_what_we_made_before_the_ledger_was_is_nothing_to_restore(tmp_path: Path) -> None:
    """A minion whose database was made anew must not put its own keepalived.conf back when the host leaves."""
    ours = Keepalived(f"{MARKER} for the cluster c: ...\n", running=True)
    ledger = Ledger(open_store(tmp_path))
    ledger.take(index([ours]), index([ours]))
    assert [change.verb for change in diff(index([]), index([ours]), ledger.owned)] == ["remove"]


def test_a_file_of_somebody_else_is_put_back(tmp_path: Path) -> None:
    """It was there before us."""
    theirs, ours = Keepalived("vrrp_instance x {}\n", running=True), Keepalived(f"{MARKER}\n", running=True)
    ledger = Ledger(open_store(tmp_path))
    ledger.take(index([ours]), index([theirs]))
    (change,) = diff(index([]), index([ours]), ledger.owned)
    assert (change.verb, change.after) == ("set", theirs)


def test_what_the_disk_did_not_take_is_not_ours(tmp_path: Path) -> None:
    """Else the next look would change it, and nobody would remember whose it is."""
    connection = open_store(tmp_path)
    ledger = Ledger(connection)
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.Error):
        ledger.take(index([VIP]), index([]))
    assert not any(ledger.owned.values())
    connection.execute("PRAGMA query_only = OFF")
    ledger.take(index([VIP]), index([]))
    assert Ledger(open_store(tmp_path)).owned["address"] == {VIP.identity: None}


def test_what_was_there_just_so_is_named_once_as_adopted(tmp_path: Path) -> None:
    """Not what has to be changed, nor what goes back to its own value one day."""
    other = Address("lo", "172.28.128.201/32")
    ledger = Ledger(open_store(tmp_path))
    assert ledger.take(index([VIP, other, NEW]), index([VIP, NEW])) == {"address": (VIP.identity,)}
    assert ledger.take(index([VIP, other, NEW]), index([VIP, other, NEW])) == {}
