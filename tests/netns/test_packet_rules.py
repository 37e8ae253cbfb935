"""What the rules do to real packets, between two namespaces on one link."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest
from tests.netns.conftest import Namespace

from lbminion.handlers.packet_rules import PacketRules
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.mark import Mark
from lbstates.plan import Change

VIP, VIP6 = "10.77.0.200", "fd77::200"

pytestmark = pytest.mark.needs_root


@pytest.fixture
def client(netns: Namespace) -> Iterator[Namespace]:
    """A client whose route to the VIPs, on `lo` of `netns`, leads over one link."""
    made = Namespace()
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", made.name)
    for namespace, number in ((netns, 1), (made, 2)):
        namespace.ip("address", "add", f"10.78.0.{number}/24", "dev", "v0")
        namespace.ip("address", "add", f"fd78::{number}/64", "dev", "v0", "nodad")
        namespace.ip("link", "set", "v0", "up")
    netns.ip("address", "add", f"{VIP}/32", "dev", "lo")
    netns.ip("address", "add", f"{VIP6}/128", "dev", "lo")
    made.ip("route", "add", VIP, "via", "10.78.0.1")
    made.ip("route", "add", VIP6, "via", "fd78::1")
    yield made
    made.remove()


@pytest.fixture
def make(netns: Namespace) -> Iterator[Callable[..., None]]:
    handler = PacketRules()

    def put(*rules: Mark | Clamp) -> None:
        kind = "mark" if isinstance(rules[0], Mark) else "clamp"
        changes = [Change(kind, "add", rule.identity, after=rule) for rule in rules]
        assert netns.run(asyncio.run, handler.apply(changes)) == []

    yield put
    handler.close()


def nft(namespace: Namespace, *command: str) -> str:
    return subprocess.run(
        ["ip", "netns", "exec", namespace.name, "nft", *command], check=True, capture_output=True, text=True
    ).stdout


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_exactly_the_packets_to_the_ports_of_a_vip_carry_the_mark(
    netns: Namespace, client: Namespace, make: Callable[..., None], vip: str
) -> None:
    other = VIP6 if vip == VIP else VIP
    make(Mark("udp", vip, ("80", "443", "8000-8010"), 7, "ipv6" if ":" in vip else "ipv4"))
    nft(netns, "add table inet seen; add chain inet seen input { type filter hook input priority 0; }")
    nft(netns, "add rule inet seen input meta l4proto udp meta mark 7 counter")
    nft(netns, "add rule inet seen input meta l4proto udp meta mark 0 counter")

    def send(address: str, port: int) -> None:
        with socket.socket(family(address), socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", (address, port))

    for port in (80, 443, 8000, 8005, 8010):
        client.run(send, vip, port)
    for address, port in ((vip, 81), (vip, 7999), (vip, 8011), (other, 80), ("10.78.0.1", 80)):
        client.run(send, address, port)
    assert re.findall(r"packets (\d+)", nft(netns, "list", "table", "inet", "seen")) == ["5", "5"]


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_a_client_of_a_clamped_vip_sends_smaller_segments(
    netns: Namespace, client: Namespace, make: Callable[..., None], vip: str
) -> None:
    def listen() -> socket.socket:
        return socket.create_server((vip, 8080), family=family(vip))

    def segment() -> int:
        with socket.create_connection((vip, 8080), 5) as connection:
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)

    with netns.run(listen):
        before = client.run(segment)
        make(Clamp(vip, 1300))
        assert before > 1300
        assert 1200 < client.run(segment) <= 1300
        make(Clamp(vip, 9000))  # a clamp never makes a segment larger
        assert client.run(segment) == before
