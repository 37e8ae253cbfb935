"""What clients believe after a split brain that healed one way first: two real minions, the real keepalived and master."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from benchmarks.bench.network import Network

from .place import SECONDS, VIP, Host, Place, inside

DEAF = "table inet deaf { chain i { type filter hook input priority 0; meta l4proto 112 drop; }; }"
"""Let no advertisement in."""


def nft(host: Host, rules: str) -> None:
    """Change a host's packet filter."""
    subprocess.run(
        Network.within(host.namespace, "nft", "-f", "-"), input=rules, text=True, check=True, timeout=SECONDS
    )


def hear_again(host: Host) -> None:
    """Let advertisements in again; fine if they were."""
    nft(host, "table inet deaf {}\ndelete table inet deaf")


@contextmanager
def deaf(*hosts: Host) -> Iterator[None]:
    """Let no advertisement in to these hosts."""
    try:
        for host in hosts:
            nft(host, DEAF)
        yield
    finally:
        for host in hosts:
            hear_again(host)


def link_address(host: Host) -> str:
    """Its MAC."""
    return str(json.loads(host.ip("-j", "link", "show", "eth0"))[0]["address"])


def believed(place: Place) -> str:
    """Where a client, here the master's host, sends what is for the VIP: its neighbour entry, without asking anew."""
    command = ["ip", "-n", place.network.master, "-j", "neigh", "show", VIP]
    entries = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=SECONDS).stdout or "[]")
    return str(entries[0].get("lladdr", "")) if entries else ""


def send() -> None:
    """Send something to the VIP, as any client does."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
        opened.sendto(b"", (VIP, 9))


@pytest.mark.pitfall("V12")
def test_the_master_that_stays_announces_its_vip_though_it_heard_nothing_of_the_other(
    place: Place, other: Host
) -> None:
    """The standby hears again and yields while the active director is still deaf: its last announcement was a lie."""
    first = place.hosts["d1"]
    second = place.host("d-deaf")
    second.join()
    second.start()
    other.start()
    # Nothing that keepalived would announce by itself in the meantime.
    place.push(place.with_standby(second, other) + "vrrp: {garp: {delay: 1, refresh: 0}}\n")
    first.until(lambda: first.holds() and not second.holds(), "the first alone has the VIP", 60)
    inside(place.network.master, send)
    first.until(lambda: believed(place) == link_address(first), "a client has asked for it")
    try:
        with deaf(first, second):
            second.until(lambda: believed(place) == link_address(second), "clients believe the second, too")
            hear_again(second)
            second.until(lambda: not second.holds(), "it yields")
            assert first.holds()
            first.until(lambda: believed(place) == link_address(first), "clients believe the first again")
    finally:
        place.push_with(other)
    second.until(lambda: not (second.runtime / "keepalived.pid").exists(), "its keepalived is stopped")
