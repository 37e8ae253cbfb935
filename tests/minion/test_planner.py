"""Which cluster the happenings of a host are filed under, and which of them matter."""

from __future__ import annotations

import pytest

from lbminion.planner import concerns, home
from lbstates.desired import DirectorState, Host, RealServerState
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.link import Link
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import index


def director(cluster: str, *hosts: str) -> DirectorState:
    return DirectorState(cluster, {host: Host(f"10.0.0.{n}") for n, host in enumerate(hosts, 1)}, (), ())


def real_server(cluster: str, *hosts: str) -> RealServerState:
    return RealServerState(cluster, {host: Host(f"10.0.1.{n}") for n, host in enumerate(hosts, 1)}, ())


def test_it_is_the_cluster_that_names_the_host() -> None:
    """Not one that it has left, whose states it still holds."""
    assert home("a", [director("old", "b"), real_server("new", "a")]) == "new"


def test_being_a_director_counts_more() -> None:
    """Transitions are of the directors' cluster."""
    assert home("a", [real_server("one", "a"), director("two", "a")]) == "two"


def test_of_several_there_is_none() -> None:
    """Nor is there when no state names the host."""
    assert home("a", [director("one", "a"), director("two", "a")]) == ""
    assert home("a", [director("one", "b")]) == ""
    assert home("a", []) == ""


HAS = index([
    Address("lo", "10.0.0.1/32"), Link("tunl0", "ipip"), Sysctl("net/ipv4/conf/eth1.100/arp_ignore", "1"),
    SyncDaemon("master", 1, "eth2", 1472, "224.0.0.81", 8848, 1),
    Keepalived("vrrp_instance web {\n    interface eth3\n    10.0.0.1/24 dev eth4\n    track_interface {\n        eth5\n", True),
])  # fmt: skip


@pytest.mark.parametrize("interface", ["lo", "tunl0", "eth1.100", "eth2", "eth3", "eth4", "eth5", "*"])
def test_a_device_concerns_whatever_names_it(interface: str) -> None:
    """In any kind of resource, and in keepalived's file."""
    assert concerns(HAS, interface)


@pytest.mark.parametrize("interface", ["eth", "eth1", "veth1234", "docker0", "", "web "])
def test_any_other_device_does_not_matter(interface: str) -> None:
    """Containers come and go, with a device each."""
    assert not concerns(HAS, interface)


def test_no_device_concerns_a_host_of_which_nothing_is_wanted() -> None:
    """Not even when the kernel's messages were lost."""
    assert not concerns(index(()), "*")
