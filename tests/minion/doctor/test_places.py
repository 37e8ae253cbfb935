"""Which addresses are where, and who is reached how."""

from __future__ import annotations

import pytest

from lbminion.doctor import places
from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination, Tunnel

OWN = Address("eth0", "10.0.0.11/24")
VIP = Address("lo", "10.0.0.100/32")
SERVICE = "tcp 10.0.0.100:80"

IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000100 01 80 00 88       lo
fd000000000000000000000000000101 02 40 00 c0     eth0
fd000000000000000000000000000102 02 40 00 80     eth0
"""
ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth1	00000000	FE01000A	0003	0	0	200	00000000	0	0	0
eth0	00000000	0100000A	0003	0	0	100	00000000	0	0	0
eth0	0000000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


def judged(*present: Address) -> list[str]:
    return [symptom.id for symptom in places.judge_vips([VIP], present)]


def test_a_vip_with_the_mask_of_one_address_on_lo_is_right() -> None:
    """Whatever else is there."""
    assert judged(OWN, VIP, Address("lo", "127.0.0.1/8")) == []


@pytest.mark.pitfall("S1")
def test_a_missing_vip_is_found() -> None:
    """With the command that adds it."""
    (found,) = places.judge_vips([VIP], [OWN])
    assert found.id == "S1"
    assert "ip addr add 10.0.0.100/32 dev lo" in found.repair


@pytest.mark.pitfall("R1")
def test_a_vip_with_a_wrong_mask_is_found() -> None:
    """A real server with 10.0.0.100/24 on lo takes its whole network for itself."""
    assert judged(OWN, Address("lo", "10.0.0.100/24")) == ["R1"]


@pytest.mark.pitfall("R2")
def test_a_vip_on_a_card_of_a_real_server_is_found() -> None:
    """There it answers ARP."""
    assert judged(OWN, VIP, Address("eth0", "10.0.0.100/24")) == ["R2"]


def test_a_vip_that_this_host_holds_as_master_may_be_on_its_card() -> None:
    """It is a director, and a real server too."""
    assert not list(places.judge_vips([VIP], [OWN, VIP, Address("eth0", "10.0.0.100/24")], {"10.0.0.100"}))


def test_a_vip_that_shall_be_on_a_tunnel_too_may_be_there() -> None:
    """A real server of tunnelling has it on lo and on the device that packets come out of; what is missing is named."""
    on_tunnel = Address("tunl0", "10.0.0.100/32")
    assert not list(places.judge_vips([VIP, on_tunnel], [OWN, VIP, on_tunnel]))
    (found,) = places.judge_vips([VIP, on_tunnel], [OWN, VIP])
    assert (found.id, found.subject) == ("S1", "tunl0 10.0.0.100/32")


@pytest.mark.pitfall("R7")
def test_a_direct_real_server_behind_a_router_is_found() -> None:
    """With a tunnel it may be there; the loopback's networks reach nobody."""
    far = Destination(SERVICE, "10.9.0.11", 80, "direct", 1)
    near = Destination(SERVICE, "10.0.0.12", 80, "direct", 1)
    tunnelled = Destination(SERVICE, "10.9.0.12", 80, "tunnel", 1, tunnel=Tunnel())
    there = [OWN, Address("lo", "10.9.0.1/16"), Address("eth1", "10.9.0.11/32")]
    assert [it.subject for it in places.judge_reach([far, near, tunnelled], there)] == ["10.9.0.11"]


@pytest.mark.pitfall("R10")
def test_a_vip_that_duplicate_detection_stopped_is_found() -> None:
    """Failed or not finished; ours only."""
    flags = places.dad(IF_INET6)
    assert flags["eth0 fd00::102"] == 0x80
    found = list(places.judge_dad(flags, ["fd00::100", "fd00::101", "fd00::102"]))
    assert [(it.id, it.subject) for it in found] == [("R10", "eth0 fd00::101"), ("R10", "lo fd00::100")]
    assert "dadfailed" in found[1].seen
    assert not list(places.judge_dad(flags, []))
    assert places.dad("rubbish\n") == {}


@pytest.mark.pitfall("I7")
def test_a_gateway_that_is_no_director_is_found() -> None:
    """The best route counts; without masquerading any gateway is right."""
    assert places.gateways(ROUTES) == ["10.0.0.1", "10.0.1.254"]
    assert places.gateways("") == places.gateways("head\nrubbish\n") == []
    served = [SERVICE]
    assert not list(places.judge_gateway(["10.0.0.1", "10.0.1.254"], ["10.0.0.1"], served))
    assert not list(places.judge_gateway(["10.0.1.254"], ["10.0.0.1"], []))
    for gateways in (["10.0.1.254", "10.0.0.1"], []):
        (found,) = places.judge_gateway(gateways, ["10.0.0.1"], served)
        assert found.id == "I7"
