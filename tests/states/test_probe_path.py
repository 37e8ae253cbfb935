"""What a director gets so that probes reach a real server by the VIP, and the weights that checks give."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates import probe_path
from lbstates.balancing import Pool, ServiceDestination, VirtualService
from lbstates.checks import TcpCheck
from lbstates.desired import DirectorState, Host
from lbstates.errors import CannotDerive
from lbstates.facts import HostFacts
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.kind import Resource
from lbstates.kinds.module import Module
from lbstates.kinds.service import Service
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import diff, index
from lbstates.resources import resources_for
from lbstates.vrrp import Vip, VrrpInstance

T = TypeVar("T", bound=Resource)
FACTS = HostFacts({"10.0.0.1": "eth1", "fd00::1": "eth1"}, "2.2.7", "/run/fifo", "/run/lock", mtus={"eth2": 1500})
TWO = (ServiceDestination("10.0.0.11", 80, 5, host="r1"), ServiceDestination("10.0.0.12", 80, 7, host="r2"))
WEB = VirtualService("tcp", "10.0.0.200", 80, "wlc", TWO, check=TcpCheck())
FIRST, SECOND = "tcp 10.0.0.200:80 -> 10.0.0.11:80", "tcp 10.0.0.200:80 -> 10.0.0.12:80"


def _resources(*services: VirtualService, vip: Vip | None = None, **weights: int) -> tuple[Resource, ...]:
    instance = VrrpInstance("web", 1, (vip or Vip("10.0.0.200/24"),), {"d1": 200})
    state = DirectorState("c", {"d1": Host("10.0.0.1")}, (instance,), services)
    found = {{"first": FIRST, "second": SECOND}[name]: weight for name, weight in weights.items()}
    return resources_for(state, "d1", msgspec.structs.replace(FACTS, weights=found))


def _of(kind: type[T], resources: tuple[Resource, ...]) -> list[T]:
    return [resource for resource in resources if isinstance(resource, kind)]


def _weights(resources: tuple[Resource, ...]) -> dict[str, int]:
    """Of what clients reach."""
    return {it.identity: it.weight for it in _of(Destination, resources) if not probe_path.is_probe_path(it.identity)}


def _ways(resources: tuple[Resource, ...]) -> list[Destination]:
    return [it for it in _of(Destination, resources) if probe_path.is_probe_path(it.identity)]


# --- weights ---------------------------------------------------------------------------------------------------------


def test_a_destination_has_the_weight_that_its_checks_give_it() -> None:
    """The declared one where they say nothing."""
    assert _weights(_resources(WEB)) == {FIRST: 5, SECOND: 7}
    assert _weights(_resources(WEB, first=0)) == {FIRST: 0, SECOND: 7}
    assert _weights(_resources(WEB, second=3)) == {FIRST: 5, SECOND: 3}


def test_who_is_drained_or_has_no_weight_gets_none_whatever_checks_say() -> None:
    """They know of no operators."""
    drained = msgspec.structs.replace(TWO[0], drained=True)
    spare = msgspec.structs.replace(TWO[1], weight=0)
    service = msgspec.structs.replace(WEB, destinations=(drained, spare))
    assert _weights(_resources(service)) == {FIRST: 0, SECOND: 0}
    assert _weights(_resources(service, first=5, second=7)) == {FIRST: 0, SECOND: 0}


@pytest.mark.pitfall("I3")
def test_i3_who_is_drained_stays_in_the_table() -> None:
    """With weight 0 its connections go on; they are reset when it is removed, so that comes later."""
    drained = msgspec.structs.replace(WEB, destinations=(msgspec.structs.replace(TWO[0], drained=True), TWO[1]))
    (change,) = diff(index(_resources(drained)), index(_resources(WEB)), {})
    assert (change.verb, change.identity) == ("set", FIRST)


def test_the_sorry_server_stands_by() -> None:
    """In the table with weight 0, so that bringing it in is one change of a weight."""
    sorry = ServiceDestination("10.0.0.12", 80, 1, host="r2")
    service = msgspec.structs.replace(WEB, destinations=TWO[:1], pool=Pool(sorry=sorry))
    assert _weights(_resources(service)) == {FIRST: 5, SECOND: 0}
    assert _weights(_resources(service, first=0, second=1)) == {FIRST: 0, SECOND: 1}
    gone = msgspec.structs.replace(service, pool=Pool(sorry=msgspec.structs.replace(sorry, drained=True)))
    assert _weights(_resources(gone, second=1)) == {FIRST: 5, SECOND: 0}


def test_a_masqueraded_sorry_server_makes_the_director_forward() -> None:
    """Even if nobody else is masqueraded."""
    sorry = ServiceDestination("10.0.0.99", 8080, 1, "masquerade")
    found = _of(Sysctl, _resources(msgspec.structs.replace(WEB, pool=Pool(sorry=sorry))))
    assert Sysctl("net/ipv4/ip_forward", "1") in found


# --- the way of probes -----------------------------------------------------------------------------------------------


@pytest.mark.pitfall("H1")
def test_h1_every_real_server_is_reached_by_the_vip_alone() -> None:
    """By a service of its own, with a mark, that has nobody else."""
    resources = _resources(WEB)
    services = [it for it in _of(Service, resources) if it.mark]
    assert len(services) == len({it.mark for it in services}) == 2
    assert [(it.service, it.address, it.port, it.weight, it.forwarding) for it in _ways(resources)] == [
        (services[0].identity, "10.0.0.11", 0, 1, "direct"),
        (services[1].identity, "10.0.0.12", 0, 1, "direct"),
    ]
    assert all(it.one_packet and it.scheduler == "rr" for it in services)
    assert Module("ip_vs_rr") in resources
    way = probe_path.way_of(WEB, TWO[0])
    assert way is not None
    assert probe_path.mark_of(way) == services[0].mark
    assert probe_path.is_probe_mark(services[0].mark)


def test_a_real_server_of_several_services_has_one_way() -> None:
    """The mark says nothing of VIP and port: those are in the packet."""
    other = msgspec.structs.replace(
        WEB, port=81, destinations=tuple(msgspec.structs.replace(it, port=81) for it in TWO)
    )
    assert len(_ways(_resources(WEB, other))) == 2
    tunnelled = tuple(msgspec.structs.replace(it, port=82, forwarding="tunnel", tunnel=Tunnel()) for it in TWO)
    third = msgspec.structs.replace(WEB, port=82, destinations=tunnelled)
    assert [it.forwarding for it in _ways(_resources(WEB, other, third))] == ["direct"] * 2 + ["tunnel"] * 2


def test_two_real_servers_whose_marks_are_the_same_are_refused() -> None:
    """By a chance of one in hundreds of clusters of the largest size: each would answer for the other."""
    addresses = ("39.35.42.21", "199.74.244.165")
    service = msgspec.structs.replace(WEB, destinations=tuple(ServiceDestination(it, 80, 5) for it in addresses))
    with pytest.raises(
        CannotDerive, match=r"the probes of 39\.35\.42\.21 and 199\.74\.244\.165: by chance .* `by_vip: false`"
    ):
        _resources(service)
    asked_apart = msgspec.structs.replace(service, check=TcpCheck(by_vip=False))
    assert len(_weights(_resources(asked_apart))) == 2


def test_where_no_probe_goes_by_the_vip_nothing_is_made_for_it() -> None:
    """No check, one at the own address, masquerading, or marks of somebody else."""
    masqueraded = tuple(msgspec.structs.replace(it, forwarding="masquerade") for it in TWO)
    marked = VirtualService(None, "", 0, "wlc", TWO, mark=7, check=TcpCheck(port=80))
    for service in (
        msgspec.structs.replace(WEB, check=None),
        msgspec.structs.replace(WEB, check=TcpCheck(by_vip=False)),
        msgspec.structs.replace(WEB, destinations=masqueraded),
        marked,
    ):
        resources = _resources(service)
        assert _ways(resources) == []
        assert not [it for it in _of(Sysctl, resources) if "accept_local" in it.key]
        assert probe_path.way_of(service, service.destinations[0]) is None


def test_the_holder_of_the_vip_takes_answers_that_come_from_it() -> None:
    """On the interface by which they come; without a strict filter where the VIP is on another one."""
    assert [it for it in _of(Sysctl, _resources(WEB)) if "/conf/" in it.key] == [
        Sysctl("net/ipv4/conf/eth1/accept_local", "1")
    ]
    elsewhere = _of(Sysctl, _resources(WEB, vip=Vip("10.0.0.200/24", "eth2")))
    assert {it.key.removeprefix("net/ipv4/conf/"): it.value for it in elsewhere if "/conf/" in it.key} == {
        "eth1/accept_local": "1",
        "eth1/rp_filter": "2",
        "eth2/accept_local": "1",
        "eth2/rp_filter": "2",
    }


def test_ipv6_needs_no_setting() -> None:
    """Its packets are not asked whether their source is here."""
    destinations = (ServiceDestination("fd00::11", 80, 1),)
    service = VirtualService("tcp", "fd00::200", 80, "wlc", destinations, check=TcpCheck())
    resources = _resources(service, vip=Vip("fd00::200/64"))
    assert [it.family for it in _of(Service, resources)] == ["ipv6", "ipv6"]
    assert len(_ways(resources)) == 1
    assert not [it for it in _of(Sysctl, resources) if "accept_local" in it.key]


@pytest.mark.parametrize(
    ("identity", "is_one"),
    [
        ("fwmark 1342177280", True),
        ("fwmark 1342177280 IPv6", True),
        ("fwmark 1342177280 IPv6 -> 10.0.0.1:0", True),
        ("fwmark 1610612735 -> [fd00::1]:0", True),
        ("fwmark 1610612736", False),
        ("fwmark 7", False),
        ("fwmark 1280442368 -> 10.0.0.1:80", False),
        ("tcp 10.0.0.200:80 -> 10.0.0.11:80", False),
        ("fwmark", False),
        ("fwmark ²", False),
        ("", False),
    ],
)
def test_a_way_of_probes_is_known_by_its_name(identity: str, *, is_one: bool) -> None:
    """Whatever else an identity says."""
    assert probe_path.is_probe_path(identity) == is_one


WAYS = st.builds(
    probe_path.Way,
    st.ip_addresses(v=4).map(str),
    st.sampled_from(["direct", "tunnel"]),
    st.sampled_from([None, Tunnel(), Tunnel("gre"), Tunnel("gue", 6080)]),
    st.sampled_from(["ipv4", "ipv6"]),
)


@given(WAYS)
def test_a_mark_is_always_one_of_ours(way: probe_path.Way) -> None:
    """The same for the same way, and far from those that services have."""
    assert probe_path.is_probe_mark(probe_path.mark_of(way))
    assert probe_path.mark_of(way) == probe_path.mark_of(probe_path.Way(*way))
