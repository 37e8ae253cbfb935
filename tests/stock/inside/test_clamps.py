"""Uploads through a tunnel: the segments that a client may send are limited by what the real server answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests.stock.inside.lan import MTU, VIP, VIP6, Lan

CLUSTER = """\
cluster: shop
directors: {d1: {address: 10.77.0.30, address6: "fd77::30"}}
real_servers: {r1: {address: 10.77.0.10, address6: "fd77::10"}}
vips: {web: 10.77.0.200/24, web6: "fd77::200/64"}
services:
  - {vip: web, port: 80, forwarding: tunnel}
  - {vip: web6, port: 80, forwarding: tunnel}
"""
TCP_HEADER = 20
UPLOAD = 200_000


@pytest.fixture
def nobody_tells(lan: Lan) -> Iterator[None]:
    """No ICMP reaches the client, as behind many firewalls, and its packets are as large as on a wire."""
    lan.client.namespace.ip("link", "set", "e0", "gso_max_segs", "1")
    lan.client.command("nft", "add table inet filter")
    lan.client.command("nft", "add chain inet filter input { type filter hook input priority 0; }")
    lan.client.command("nft", "add rule inet filter input icmp type destination-unreachable drop")
    lan.client.command("nft", "add rule inet filter input icmpv6 type packet-too-big drop")
    yield
    lan.client.command("nft", "delete table inet filter")


def segment(lan: Lan, address: str) -> int:
    """How many bytes the client puts into a segment after the answer to its SYN."""
    with lan.client.connect(address, 80) as connection:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)


@pytest.mark.parametrize(("vip", "header"), [(VIP, 20), (VIP6, 40)], ids=["ipv4", "ipv6"])
def test_the_answer_to_a_syn_names_what_fits_into_the_tunnel(lan: Lan, vip: str, header: int) -> None:
    """What the real server answers for its own address stays as it is."""
    lan.become(CLUSTER)
    own = lan.real_servers[0].addresses[vip == VIP6]
    assert segment(lan, own) == MTU - header - TCP_HEADER
    assert segment(lan, vip) == MTU - header - header - TCP_HEADER


@pytest.mark.pitfall("R5")
@pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])
def test_an_upload_passes_a_tunnel_although_nobody_tells_the_client_its_width(
    lan: Lan, nobody_tells: None, vip: str
) -> None:
    """And stalls when somebody takes the clamp away, until that is healed."""
    (real_server, _) = lan.real_servers
    lan.become(CLUSTER)
    assert lan.client.ask(vip, 80, UPLOAD) == f"r1 80 {UPLOAD}"
    real_server.command("nft", "flush", "ruleset")
    with pytest.raises(TimeoutError):
        lan.client.ask(vip, 80, UPLOAD, seconds=3)
    assert {step.split()[1] for step in real_server.become(CLUSTER)} == {"clamp"}
    assert lan.client.ask(vip, 80, UPLOAD) == f"r1 80 {UPLOAD}"


def test_an_ipv6_vip_that_is_a_preferred_address_breaks_tunnels(lan: Lan) -> None:
    """The director takes it for the source of the outer header, and no real server takes packets from its own address."""
    lan.become(CLUSTER)
    lan.director.take(VIP6)
    lan.director.give(VIP6)
    with pytest.raises(TimeoutError):
        lan.client.ask(VIP6, 80, seconds=2)
    lan.director.take(VIP6)
    lan.director.give(VIP6, preferred=False)
    assert lan.client.ask(VIP6, 80) == "r1 80 0"
