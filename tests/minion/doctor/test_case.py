"""What a host shall be, as the probes have to know it."""

from __future__ import annotations

import pytest

from lbminion.doctor.case import Case
from lbminion.doctor.listeners import Wanted
from lbstates.desired import Answer, DirectorState, Host, RealServerState, RoleState
from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.plan import index

CONF = """\
global_defs {
    vrrp_version 3
}
vrrp_instance web {
    interface eth0
    virtual_router_id 100
    priority 250
    advert_int 0.5
    virtual_ipaddress {
        10.0.0.100/24 dev eth0
        10.5.0.100/24 dev eth1
    }
}
"""
D1, R1 = Host("10.0.0.1"), Host("10.0.0.11", address6="fd00::11")
DIRECTORS = DirectorState("shop", {"d1": D1, "d2": Host("10.0.0.2", address6="fd00::2")}, (), ())
ETH0, ETH1 = Address("eth0", "10.0.0.1/24"), Address("eth1", "10.5.0.1/24")


def case(name: str, state: RoleState, *desired: Resource, present: tuple[Address, ...] = (ETH0, ETH1)) -> Case:
    return Case(name, [state], index(desired), index(desired), (), present, (), held=False)


def director(*more: Address) -> Case:
    far = Destination("tcp 10.0.0.100:80", "10.9.0.11", 80, "tunnel", 1)
    near = Destination("tcp 10.0.0.100:80", "10.0.0.11", 80, "direct", 1)
    own = Destination("tcp 10.0.0.100:80", "10.0.0.1", 80, "direct", 1)
    return case("d1", DIRECTORS, Keepalived(CONF, running=True), far, near, own, present=(ETH0, ETH1, *more))


def server(*answers: Answer) -> Case:
    state = RealServerState("shop", {"r1": R1, "r2": Host("10.0.0.12")}, answers, directors=("10.0.0.1",))
    return case("r1", state, Address("lo", "10.0.0.100/32"), present=(Address("eth0", "10.0.0.11/24"),))


def test_the_holder_is_the_one_that_has_the_vip_outside_the_loopback() -> None:
    """Whatever anybody says of it; on lo it is that of a real server."""
    assert director().holding == set()
    assert director(Address("lo", "10.0.0.100/32")).holding == set()
    assert director(Address("eth0", "10.0.0.100/24")).holding == {"web"}


def test_a_vip_on_a_tunnel_does_not_make_its_holder() -> None:
    """A director that is a real server of tunnelling too has it there all the time, MASTER or not."""
    on_tunnel = Address("tunl0", "10.0.0.100/32")
    there = (ETH0, on_tunnel)
    found = case(
        "d1", DIRECTORS, Keepalived(CONF, running=True), Address("lo", "10.0.0.100/32"), on_tunnel, present=there
    )
    assert found.holding == set()
    assert "10.0.0.100" not in found.own


def test_an_election_is_read_from_the_file_that_shall_be() -> None:
    """With the other directors' addresses of both families."""
    (election,) = director().elections()
    assert (election.vrid, election.version, election.interval, election.interface) == (100, 3, 0.5, "eth0")
    assert election.peers == {"10.0.0.2": "d2", "fd00::2": "d2"}
    assert election.vips == {"10.0.0.100", "10.5.0.100"}
    assert not election.held
    assert election.at_home


def test_an_election_on_another_interface_is_not_where_the_directors_addresses_are() -> None:
    """So that nobody takes its advertisements for those of strangers."""
    file = Keepalived(CONF.replace("interface eth0", "interface eth1"), running=True)
    (election,) = case("d1", DIRECTORS, file, present=(ETH0, ETH1)).elections()
    assert (election.interface, election.at_home) == ("eth1", False)


def test_arp_is_asked_where_the_answer_would_come_from() -> None:
    """A VIP on its own device; hosts where they are neighbours; nobody behind a router, and not oneself."""
    assert director().arp_targets() == {"eth0": {"10.0.0.100", "10.0.0.2", "10.0.0.11"}, "eth1": {"10.5.0.100"}}
    assert server().arp_targets() == {"eth0": {"10.0.0.100"}}
    assert director().vips() == {"10.0.0.100": False, "10.5.0.100": False}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("10.0.0.100", "tcp", ("80",), "direct", {"r1": 0}), [("10.0.0.100", 80)]),
        (Answer("10.0.0.100", "tcp", ("80", "8000-8001"), "tunnel", {"r1": 0}),
         [("10.0.0.100", 80), ("10.0.0.100", 8000), ("10.0.0.100", 8001)]),
        (Answer("10.0.0.100", "tcp", (), "direct", {"r1": 0}), [("10.0.0.100", 0)]),
        (Answer("10.0.0.100", "tcp", ("1024-65535",), "direct", {"r1": 0}), []),
        (Answer("10.0.0.100", "tcp", ("80",), "masquerade", {"r1": 8080}), [("10.0.0.11", 8080)]),
        (Answer("fd00::100", "tcp", ("80",), "masquerade", {"r1": 0}), [("fd00::11", 80)]),
        (Answer("10.0.0.100", "tcp", ("80",), "direct", {"r2": 0}), []),
    ],
)  # fmt: skip
def test_where_a_service_has_to_listen(answer: Answer, expected: list[tuple[str, int]]) -> None:
    """On the VIP; with masquerading on the own address; of a long range nothing is expected."""
    assert server(answer).asked() == [Wanted("tcp", address, port) for address, port in expected]


def test_the_vips_that_a_host_balances_and_answers_are_known() -> None:
    """Those of another cluster, that it only answers, are not among them."""
    both = case(
        "d1", DIRECTORS, Keepalived(CONF, running=True), Address("lo", "10.0.0.100/32"), Address("lo", "10.0.0.7/32")
    )
    assert both.served_here == ["10.0.0.100"]
    assert both.held_vips == set()
    assert director(Address("eth0", "10.0.0.100/24")).held_vips == {"10.0.0.100", "10.5.0.100"}
    assert (both.interface, server().interface) == ("eth0", "eth0")
    assert case("d1", DIRECTORS, present=()).interface == ""


def test_a_host_without_a_part_has_nothing_to_be_looked_at() -> None:
    """Neither role."""
    nobody = case("x9", DIRECTORS)
    assert (nobody.director, nobody.real_server, nobody.elections(), nobody.arp_targets()) == ([], [], [], {})
