"""Tunnel devices and GUE ports of a real kernel; `ip` is the reader that is not ours."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator

import pytest
from tests.uml.inside import modules, planning
from tests.uml.inside.conftest import run
from tests.uml.inside.unloading import unload

from lbminion.errors import ChangeError
from lbminion.handlers.gue_ports import HostGuePorts
from lbminion.handlers.links import TunnelLinks
from lbminion.netlink.fou import GuePorts
from lbminion.netlink.links import Links, LinkState
from lbstates.kinds.gue_port import GuePort
from lbstates.kinds.link import Link
from lbstates.plan import Change

LINKS = (
    Link("tunl0", "ipip"),
    Link("gre0", "gre"),
    Link("sit0", "sit"),
    Link("ip6tnl0", "ip6tnl"),
    Link("ip6gre0", "ip6gre"),
)


@pytest.fixture(scope="module")
def devices() -> None:
    modules.load("ipip", "ip_gre", "sit", "ip6_tunnel", "ip6_gre", "dummy")


@pytest.fixture
def links(devices: None) -> Iterator[TunnelLinks]:
    handler = TunnelLinks()
    planning.remove(handler, *LINKS)
    yield handler
    planning.remove(handler, *LINKS)
    handler.close()


@pytest.fixture
def ports() -> Iterator[HostGuePorts]:
    modules.load("fou")
    handler = HostGuePorts()
    yield handler
    handler.close()
    with GuePorts() as opened:
        for port in opened.read().values():
            opened.delete(port)


def flags(interface: str) -> list[str]:
    return list(json.loads(run("ip", "-j", "link", "show", "dev", interface))[0]["flags"])


def test_a_device_before_its_module_is_missing_with_the_way_out() -> None:
    handler = TunnelLinks()
    (error,) = planning.apply(handler, planning.plan(handler, [Link("tunl9", "ipip")]))
    assert str(error) == "link tunl9: is not there: it comes with the kernel module of ipip"
    handler.close()


def test_every_sort_of_tunnel_device_is_set_up_and_down(links: TunnelLinks) -> None:
    for link in LINKS:
        assert "UP" not in flags(link.interface)
    planning.make(links, *LINKS)
    for link in LINKS:
        assert "UP" in flags(link.interface)
    planning.remove(links, *LINKS)
    for link in LINKS:
        assert "UP" not in flags(link.interface)


@pytest.mark.pitfall("R4")
def test_a_device_that_somebody_set_down_is_drift(links: TunnelLinks) -> None:
    planning.make(links, LINKS[0])
    run("ip", "link", "set", "tunl0", "down")
    (step,) = planning.plan(links, [LINKS[0]])
    assert step.describe() == "+ link tunl0: ipip, up"
    planning.make(links, LINKS[0])


def test_a_device_of_another_sort_under_the_name_is_said_and_left_alone(links: TunnelLinks) -> None:
    run("ip", "link", "add", "tunl9", "type", "dummy")
    try:
        (error,) = planning.apply(links, planning.plan(links, [Link("tunl9", "ipip")]))
        assert "of the sort dummy, not ipip" in str(error)
        assert "UP" not in flags("tunl9")
    finally:
        run("ip", "link", "del", "tunl9")


def test_links_of_no_sort_and_no_name_are_read(devices: None) -> None:
    with Links() as links:
        assert links.read("lo") == LinkState("", up=True)
        assert links.read("tunl0") == LinkState("ipip", up=False)
        for bad in ("nowhere0", "", "a\0b", "x" * 16, "../lo"):
            assert links.read(bad) is None
            links.set_down(bad)
            with pytest.raises(ChangeError):
                links.set_up(bad)


def test_without_rights_a_device_cannot_be_set_up(devices: None) -> None:
    with Links() as links:
        os.seteuid(65534)
        try:
            with pytest.raises(ChangeError, match="CAP_NET_ADMIN"):
                links.set_up("tunl0")
        finally:
            os.seteuid(0)


def shown_ports() -> list[str]:
    return sorted(line.strip() for line in run("ip", "fou", "show").splitlines())


def test_a_gue_port_without_its_module_is_missing_with_the_way_out() -> None:
    unload("fou6", "fou")
    handler = HostGuePorts()
    (error,) = planning.apply(handler, planning.plan(handler, [GuePort(6080)]))
    assert "modprobe fou" in str(error)
    handler.close()


def test_gue_ports_are_opened_and_closed(ports: HostGuePorts) -> None:
    both = GuePort(6080), GuePort(6080, "ipv6"), GuePort(7070)
    planning.make(ports, *both)
    assert shown_ports() == ["port 6080 gue", "port 6080 gue -6", "port 7070 gue"]
    planning.remove(ports, *both[1:])
    assert shown_ports() == ["port 6080 gue"]


def test_a_port_that_somebody_closed_is_drift(ports: HostGuePorts) -> None:
    planning.make(ports, GuePort(6080))
    run("ip", "fou", "del", "port", "6080")
    assert [step.describe() for step in planning.plan(ports, [GuePort(6080)])] == ["+ gue_port ipv4 udp 6080"]
    planning.make(ports, GuePort(6080))


def test_a_port_for_something_else_is_not_ours_and_a_taken_one_is_said(ports: HostGuePorts) -> None:
    run("ip", "fou", "add", "port", "5555", "ipproto", "4")
    try:
        (error,) = planning.apply(ports, planning.plan(ports, [GuePort(5555)]))
        assert "another socket has this port" in str(error)
    finally:
        run("ip", "fou", "del", "port", "5555")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 6666))
        (error,) = planning.apply(ports, planning.plan(ports, [GuePort(6666)]))
        assert "another socket has this port" in str(error)


def test_opening_and_closing_twice_is_fine_and_bad_ports_are_named(ports: HostGuePorts) -> None:
    with GuePorts() as opened:
        for _ in range(2):
            opened.add(GuePort(6080))
        for _ in range(2):
            opened.delete(GuePort(6080))
        for bad in (GuePort(0), GuePort(70000), GuePort(80, "ipx")):  # type: ignore[arg-type]
            with pytest.raises(ChangeError, match="is no UDP port"):
                opened.add(bad)


def test_without_rights_a_port_cannot_be_opened(ports: HostGuePorts) -> None:
    change = Change("gue_port", "add", "ipv4 udp 6080", after=GuePort(6080))
    os.seteuid(65534)
    try:
        (error,) = planning.apply(ports, (change,))
    finally:
        os.seteuid(0)
    assert "CAP_NET_ADMIN" in str(error)
