"""What neighbours believe after a failover, by real keepalived processes: an ARP entry that is not renewed is a dead VIP."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.netns.cluster.place import inside
from tests.netns.test_rendered_config import Directors, _holders, _keepalived, _render, _run
from tests.waiting import until

from lbminion.announcements import announce

pytestmark = pytest.mark.needs_root

CLUSTER = """\
cluster: netology
directors:
  netology3: {address: 172.28.128.30, address6: "fd00::30"}
  netology4: {address: 172.28.128.40, address6: "fd00::40"}
real_servers:
  netology1: {address: 172.28.128.10, address6: "fd00::10"}
vips:
  web: 172.28.128.200/24
  mail: {address: 172.28.128.201/24, instance: web}
  far: {address: 172.28.129.200/16, instance: web}
  web6: "fd00::200/64"
  mail6: {address: "fd00::201/64", instance: web6}
instances:
  web: {home: netology3, sync_group: all}
  web6: {sync_group: all}
vrrp: {advert_interval: 0.3}
services:
"""
SERVICE = "  - {{vip: {}, port: 80}}\n"
VIPS = {
    "web": "172.28.128.200",
    "mail": "172.28.128.201",
    "far": "172.28.129.200",
    "web6": "fd00::200",
    "mail6": "fd00::201",
}
CLIENT = "172.28.128.60"


@pytest.fixture
def namespaces() -> Iterator[list[str]]:
    """Two directors and a client on one link."""
    made = Directors(3)
    try:
        made.make(["172.28.128.30", "172.28.128.40", CLIENT])
        yield made.names
    finally:
        made.remove()


def _link_address(namespace: str) -> str:
    return str(json.loads(_run("ip", "-n", namespace, "-j", "link", "show", "eth1"))[0]["address"])


def _believed(client: str) -> dict[str, str | None]:
    """Where the client sends what is for each VIP: its neighbour entry, without asking anew."""
    entries = json.loads(_run("ip", "-n", client, "-j", "neigh", "show", "dev", "eth1"))
    by_address = {entry["dst"]: entry.get("lladdr") for entry in entries}
    return {vip: by_address.get(vip) for vip in VIPS.values()}


_SEND = """
import socket, sys
for vip in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"", (vip, 9))
"""


def _resolved(client: str) -> dict[str, str | None]:
    """Have the client resolve every VIP, as any client does that sends something there."""
    _run("ip", "netns", "exec", client, sys.executable, "-c", _SEND, *VIPS.values())
    return _believed(client)


@pytest.mark.pitfall("V12")
def test_a_failover_renews_what_neighbours_believe_of_every_vip(namespaces: list[str], tmp_path: Path) -> None:
    """Also of the VIPs that are not in the advertisement (`virtual_ipaddress_excluded`), in both families."""
    first, second, client = namespaces
    text = CLUSTER + "".join(SERVICE.format(vip) for vip in VIPS)
    with contextlib.ExitStack() as stack:
        for place, namespace in enumerate((first, second)):
            rendered = _render(text, f"netology{place + 3}", tmp_path / f"fifo{place}")
            assert rendered.count("virtual_ipaddress_excluded") == 2
            stack.enter_context(_keepalived(namespace, rendered, tmp_path / namespace))

        def holders() -> set[tuple[int, ...]]:
            return {tuple(_holders([first, second], vip)) for vip in VIPS.values()}

        until(lambda: holders() == {(0,)}, holders, within=40)
        until(
            lambda: set(_resolved(client).values()) == {_link_address(first)},
            lambda: f"{_believed(client)}, not all {_link_address(first)}",
        )
        # Without a word: as when its power is cut.
        _run("ip", "-n", first, "link", "set", "eth1", "down")
        until(
            lambda: set(_believed(client).values()) == {_link_address(second)},
            lambda: f"{_believed(client)}, not all {_link_address(second)}",
            within=20,
        )


def _announce(namespace: str) -> list[str]:
    return inside(namespace, lambda: announce("eth1", ["fd00::dead", *VIPS.values()]))


def _all_believe(client: str, expected: str) -> bool:
    return set(_believed(client).values()) == {expected}


@pytest.mark.pitfall("V12")
def test_the_minion_can_renew_what_neighbours_believe(namespaces: list[str]) -> None:
    """As its director goes on being MASTER, and another one has announced the same VIPs meanwhile; in both families.

    A VIP that the kernel has just given up keeps no other from being announced.
    """
    first, second, client = namespaces
    for namespace in (first, second):
        for vip in VIPS.values():
            length, more = ("64", ["nodad"]) if ":" in vip else ("32", [])
            _run("ip", "-n", namespace, "addr", "add", f"{vip}/{length}", "dev", "eth1", *more)
    for namespace in (first, second, first):
        until(lambda: None not in _resolved(client).values(), lambda: f"{_believed(client)}, some unknown")
        (failed,) = _announce(namespace)
        assert failed.startswith("fd00::dead cannot be announced on eth1:")
        expected = _link_address(namespace)
        until(partial(_all_believe, client, expected), f"every VIP at {expected}")


def test_an_interface_without_neighbours_is_told_or_left_alone(namespaces: list[str]) -> None:
    """One that is gone is told; one that is no Ethernet has nobody to tell."""
    (failed,) = inside(namespaces[0], lambda: announce("gone0", VIPS.values()))
    assert failed == "nothing can be announced on gone0: [Errno 19] No such device"
    assert inside(namespaces[0], lambda: announce("lo", VIPS.values())) == []
