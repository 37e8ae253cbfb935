"""director_resources: what a director shall have, beside its keepalived.conf."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import pytest

from lbstates.balancing import IpvsOptions, ServiceDestination, SyncOptions, TimeoutOptions, VirtualService
from lbstates.desired import DirectorState, Host
from lbstates.errors import CannotDerive
from lbstates.facts import HostFacts
from lbstates.kinds.destination import Destination, Forwarding, Tunnel
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.module import Module
from lbstates.kinds.service import Persistence
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.kinds.sysctl import Sysctl
from lbstates.kinds.timeouts import Timeouts
from lbstates.resources import resources_for

T = TypeVar("T", bound=Resource)
FACTS = HostFacts(
    {"10.0.0.1": "eth1", "fd00::1": "eth1"}, "2.2.7", "/run/fifo", "/run/lock", mtus={"eth1": 1500, "eth2": 1500}
)


@dataclass
class Cluster:
    """One director with one service; what a test says differs from that."""

    vip: str = "10.0.0.200"
    forwarding: Forwarding = "direct"
    real_servers: tuple[str, ...] = ("10.0.0.10",)
    service: dict[str, object] = field(default_factory=dict)
    ipvs: IpvsOptions = field(default_factory=IpvsOptions)

    def resources(self, facts: HostFacts = FACTS) -> tuple[Resource, ...]:
        """What the director shall have."""
        tunnel = Tunnel() if self.forwarding == "tunnel" else None
        destinations = tuple(
            ServiceDestination(address, 80, 1, self.forwarding, tunnel=tunnel) for address in self.real_servers
        )
        service = VirtualService("tcp", self.vip, 80, "wlc", destinations)
        state = DirectorState(
            "c", {"d1": Host("10.0.0.1")}, (), (msgspec.structs.replace(service, **self.service),), ipvs=self.ipvs
        )
        return resources_for(state, "d1", facts)

    def sysctls(self) -> dict[str, str]:
        """The settings among them."""
        return {found.key.removeprefix("net/"): found.value for found in self.resources() if isinstance(found, Sysctl)}


def _of(kind: type[T], resources: tuple[Resource, ...]) -> list[T]:
    return [resource for resource in resources if isinstance(resource, kind)]


@pytest.mark.pitfall("I8")
def test_i8_modules_come_before_the_settings_that_they_bring() -> None:
    """A setting below net/ipv4/vs that is written before ip_vs is there is lost."""
    resources = Cluster(service={"scheduler": "sh", "persistence": Persistence(9, 32, "sip")}).resources()
    assert [found.name for found in _of(Module, resources)] == ["ip_vs", "ip_vs_sh", "ip_vs_pe_sip"]
    kinds = [type(resource) for resource in resources]
    assert max(i for i, kind in enumerate(kinds) if kind is Module) < kinds.index(Sysctl)


@pytest.mark.pitfall("I4")
def test_i4_templates_do_not_hold_clients_at_a_real_server_of_weight_0() -> None:
    """Where there is persistence, and only there."""
    assert "ipv4/vs/expire_quiescent_template" not in Cluster().sysctls()
    assert Cluster(service={"persistence": Persistence(300, 32)}).sysctls()["ipv4/vs/expire_quiescent_template"] == "1"


@pytest.mark.pitfall("I7")
@pytest.mark.parametrize(
    ("vip", "real_server", "key"),
    [("10.0.0.200", "10.0.0.10", "ipv4/ip_forward"), ("fd00::200", "fd00::10", "ipv6/conf/all/forwarding")],
)
def test_i7_a_director_that_masquerades_forwards(vip: str, real_server: str, key: str) -> None:
    """In the family of the service; with other methods the setting is left alone."""
    other = {"ipv4/ip_forward", "ipv6/conf/all/forwarding"} - {key}
    sysctls = Cluster(vip, "masquerade", (real_server,)).sysctls()
    assert sysctls[key] == "1"
    assert not other & sysctls.keys()
    assert not {key, *other} & Cluster(vip, "direct", (real_server,)).sysctls().keys()


def test_the_settings_of_the_cluster_file_win() -> None:
    """Over those that lbmaster would choose."""
    options = IpvsOptions(sysctls={"conn_reuse_mode": "1", "sync_threshold": "3 50"})
    sysctls = Cluster(ipvs=options).sysctls()
    assert sysctls["ipv4/vs/conn_reuse_mode"] == "1"
    assert sysctls["ipv4/vs/sync_threshold"] == "3 50"
    assert sysctls["ipv4/vs/expire_nodest_conn"] == "1"


@pytest.mark.parametrize("forwarding", ["direct", "tunnel", "masquerade"])
def test_a_destination_on_the_director_itself_keeps_its_method(forwarding: Forwarding) -> None:
    """The kernel delivers to itself by any of them, and shows what was written."""
    found = _of(Destination, Cluster(forwarding=forwarding, real_servers=("10.0.0.1", "10.0.0.10")).resources())
    assert [(it.address, it.forwarding) for it in found] == [("10.0.0.1", forwarding), ("10.0.0.10", forwarding)]


def test_timeouts_are_left_alone_unless_asked_for() -> None:
    """There is one set of them per kernel, and others may have chosen it."""
    assert _of(Timeouts, Cluster().resources()) == []
    options = IpvsOptions(timeouts=TimeoutOptions(900, 120, 30))
    assert _of(Timeouts, Cluster(ipvs=options).resources()) == [Timeouts(900, 120, 30)]


@pytest.mark.pitfall("I11")
def test_i11_every_director_sends_and_receives_connections() -> None:
    """Both daemons, always, alike on all: a failover changes nothing."""
    options = IpvsOptions(sync=SyncOptions(7, maximum_length=1400))
    daemons = _of(SyncDaemon, Cluster(ipvs=options).resources())
    assert daemons == [
        SyncDaemon(role, 7, "eth1", 1400, "224.0.0.81", 8848, 1)  # type: ignore[arg-type]
        for role in ("master", "backup")
    ]


def test_the_interface_of_the_synchronisation_can_be_another() -> None:
    options = IpvsOptions(sync=SyncOptions(7, interface="eth2"))
    assert {it.interface for it in _of(SyncDaemon, Cluster(ipvs=options).resources())} == {"eth2"}


def test_an_interface_for_the_synchronisation_that_is_not_there_is_named() -> None:
    options = IpvsOptions(sync=SyncOptions(7, interface="bond7"))
    with pytest.raises(CannotDerive, match=r"d1: interface bond7.*`sync`.*eth1 10\.0\.0\.1"):
        Cluster(ipvs=options).resources()


@pytest.mark.pitfall("R9")
@pytest.mark.parametrize(("masters", "role"), [(frozenset(), "backup"), (frozenset({"web"}), "master")])
def test_r9_a_director_that_is_real_server_too_balances_as_master_only(masters: frozenset[str], role: str) -> None:
    """The kernel balances nothing while its backup daemon runs and backup_only is set: what the master sent stays here."""
    cluster = Cluster(forwarding="tunnel", ipvs=IpvsOptions(sync=SyncOptions(7), backup_only=True))
    facts = msgspec.structs.replace(FACTS, masters=masters)
    assert [it.role for it in _of(SyncDaemon, cluster.resources(facts))] == [role]
    assert cluster.sysctls()["ipv4/vs/backup_only"] == "1"
    assert cluster.sysctls()["ipv4/vs/ignore_tunneled"] == "1"
    assert "ipv4/vs/backup_only" not in Cluster().sysctls()


def test_a_host_that_cannot_mark_packets_is_refused_with_what_the_kernel_said() -> None:
    """Without the marks the service would get nothing."""
    marked = Cluster(service={"mark": 7, "marked_ports": ("80",), "port": 0})
    with pytest.raises(CannotDerive, match="cannot be marked here; no nft"):
        marked.resources(msgspec.structs.replace(FACTS, no_packet_rules="no nft here"))


def test_a_director_without_services_needs_no_ipvs() -> None:
    """It runs VRRP, and its kernel may have nothing else."""
    found = resources_for(DirectorState("c", {"d1": Host("10.0.0.1")}, (), ()), "d1", FACTS)
    assert [type(it) for it in found] == [Keepalived]
