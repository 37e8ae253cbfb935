"""The doctor's probes on a real wire: two directors with a real keepalived, listened to and asked from one of them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.waiting import until

from lbminion.doctor import (
    adverts,
    arp,
    arp_probe,
    ethtool,
    listeners,
    own_clients,
    places,
    reading,
    settings,
    sniff,
    sock_diag,
)
from lbminion.doctor.adverts import Election
from lbminion.doctor.listeners import Listener, Wanted
from lbminion.doctor.own_clients import Call

from .conftest import Namespace
from .keepalived_pair import VIP, Node, pair

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]

PEER = "10.77.0.2"
SECONDS = 1.2


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """Both, with no keepalived yet; this thread is in the first one's namespace."""
    with pair(tmp_path) as both:
        yield both
    while started:
        started.pop().wait(10)


started: list[subprocess.Popen[bytes]] = []
"""What `start` started, and the end of `pair` killed."""


def start(node: Node, change: Callable[[str], str] = lambda text: text, *, deaf: bool = False) -> None:
    """Run keepalived on a node; `deaf`: it hears nobody, and becomes MASTER beside whoever is."""
    if deaf:
        rules = "table inet t { chain i { type filter hook input priority 0; meta l4proto 112 drop; }; }"
        subprocess.run(["ip", "netns", "exec", node.namespace, "nft", rules], check=True)
    node.paths.config.write_text(change(node.config(100 * node.number)))
    os.mkfifo(node.paths.fifo)
    started.append(node.spawn())
    until(node.has_vip, node.paths.log.read_text)


def judged(*, held: bool, interval: float = 0.2, vips: frozenset[str] = frozenset({VIP}), peer: str = PEER) -> set[str]:
    """Listen for a while, and say which pitfalls that shows."""
    election = Election("web", "v1", 4, 51, 3, interval, vips, {peer: "d2"}, held)
    heard = {"v1": sniff.listen("v1", SECONDS)}
    return {it.id for it in adverts.judge([election], heard, {"v1": SECONDS})}


@pytest.mark.pitfall("V1")
def test_a_backup_that_hears_its_master_has_no_symptom_and_a_second_master_has(nodes: tuple[Node, Node]) -> None:
    """First the peer alone; then this node too, deaf for it: both hold the VIP, which ARP shows as well."""
    here, peer = nodes
    start(peer)
    assert judged(held=False) == set()
    answers = arp_probe.ask("v1", [VIP, PEER, "10.77.0.77"])
    assert answers == {VIP: {peer_mac(peer)}, PEER: {peer_mac(peer)}, "10.77.0.77": set()}
    start(here, deaf=True)
    assert judged(held=True) == {"V1"}
    (found,) = arp.judge_answers(
        VIP, arp_probe.ask("v1", [VIP])[VIP], held=True, directors={peer_mac(peer): "d2"}, others={}
    )
    assert found.id == "V1"


def peer_mac(peer: Node) -> str:
    """The MAC of the peer's interface."""
    return peer.ip("-o", "link", "show", "v2").split("link/ether ")[1].split()[0]


@pytest.mark.pitfall("V1")
def test_a_wire_that_carries_no_vrrp_is_found(nodes: tuple[Node, Node]) -> None:
    """The peer advertises, and something on the way drops it: here the peer's own filter."""
    rules = "table inet t { chain o { type filter hook output priority 0; meta l4proto 112 drop; }; }"
    subprocess.run(["ip", "netns", "exec", nodes[1].namespace, "nft", rules], check=True)
    start(nodes[1])
    assert judged(held=False, interval=0.2) == {"V1"}


@pytest.mark.pitfall("V4")
@pytest.mark.pitfall("V5")
def test_a_peer_whose_file_was_edited_is_found(nodes: tuple[Node, Node]) -> None:
    """It has another interval and one VIP more."""

    def edit(text: str) -> str:
        more = f"{VIP}/32 dev v2\n        10.77.0.101/32 dev v2"
        return text.replace("advert_int 0.2", "advert_int 0.1").replace(f"{VIP}/32 dev v2", more)

    start(nodes[1], edit)
    assert judged(held=False) == {"V4", "V5"}


@pytest.mark.pitfall("V3")
def test_the_vrid_of_somebody_else_is_found(nodes: tuple[Node, Node]) -> None:
    """The same advertisements, from an address that is no director's."""
    start(nodes[1])
    assert "V3" in judged(held=False, peer="10.77.0.3")


@pytest.mark.pitfall("R2")
@pytest.mark.pitfall("V12")
def test_a_host_that_answers_for_the_vip_and_a_stale_neighbour_are_found(nodes: tuple[Node, Node]) -> None:
    """The kernel answers ARP for an address of lo as long as arp_ignore is 0, and is silent with 1."""
    peer = nodes[1]
    peer.ip("addr", "add", f"{VIP}/32", "dev", "lo")
    answers = arp_probe.ask("v1", [VIP], 0.5)
    (found,) = arp.judge_answers(VIP, answers[VIP], held=False, directors={"02:00:00:00:00:09": "d9"}, others={})
    assert found.id == "R2"
    nodes[0].ip("neigh", "replace", VIP, "lladdr", "02:00:00:00:00:77", "dev", "v1")
    (stale,) = arp.judge_neighbours(arp.neighbours(reading.text("/proc/net/arp")), answers)
    assert (stale.id, stale.subject) == ("V12", VIP)
    command = ["ip", "netns", "exec", peer.namespace, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"]
    subprocess.run(command, check=True)
    assert arp_probe.ask("v1", [VIP], 0.5) == {VIP: set()}


@pytest.mark.pitfall("R10")
def test_an_ipv6_vip_that_another_host_has_is_found(nodes: tuple[Node, Node]) -> None:
    """Added without nodad, while the peer has it: the kernel marks it as failed."""
    nodes[1].ip("addr", "add", "fd00::100/64", "dev", "v2", "nodad")
    nodes[0].ip("addr", "add", "fd00::100/64", "dev", "v1")

    def found() -> bool:
        flags = places.dad(reading.text("/proc/thread-self/net/if_inet6"))
        return any("dadfailed" in it.seen for it in places.judge_dad(flags, ["fd00::100"]))

    until(found)


@pytest.mark.pitfall("R4")
def test_the_kernels_own_rp_filter_is_judged(netns: Namespace) -> None:
    """Strict on a device, or on `all`."""
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")

    def ids() -> list[str]:
        values = reading.settings(settings.interface_keys(["v0"]))
        return [it.id for it in settings.judge_tunnel_filters(values, ["v0"], {"v0"})]

    def write(key: str, value: str) -> None:
        Path("/proc/sys/net/ipv4/conf", key).write_text(value)

    for key, value, expected in (
        ("all/rp_filter", "0", []),
        ("v0/rp_filter", "1", ["R4"]),
        ("all/rp_filter", "2", []),
    ):
        netns.run(write, key, value)
        assert netns.run(ids) == expected


@pytest.mark.pitfall("R11")
def test_the_kernel_tells_of_every_listener(netns: Namespace) -> None:
    """TCP and UDP, both families, and whether "::" takes IPv4; a service on one address does not cover another."""

    def open_and_ask() -> list[Listener]:
        opened = []
        for kind, family, address, only in (
            (socket.SOCK_STREAM, socket.AF_INET, "127.0.0.1", 0),
            (socket.SOCK_STREAM, socket.AF_INET6, "::", 1),
            (socket.SOCK_DGRAM, socket.AF_INET6, "::", 0),
        ):
            one = socket.socket(family, kind)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            one.bind((address, 8080))
            if kind == socket.SOCK_STREAM:
                one.listen()
            opened.append(one)
        found = sock_diag.listeners(["tcp", "udp"])
        for one in opened:
            one.close()
        return found

    found = netns.run(open_and_ask)
    assert sorted(found) == sorted(
        [
            Listener("tcp", "127.0.0.1", 8080),
            Listener("tcp", "::", 8080, only_v6=True),
            Listener("udp", "::", 8080, only_v6=False),
        ]
    )
    wanted = [Wanted("tcp", "10.0.0.100", 8080), Wanted("udp", "10.0.0.100", 8080), Wanted("tcp", "fd00::1", 8080)]
    assert [it.subject for it in listeners.judge(wanted, found)] == ["tcp 10.0.0.100:8080"]


@pytest.mark.pitfall("R8")
def test_a_real_server_that_calls_its_vip_is_seen(netns: Namespace) -> None:
    """By either family, also from a socket of IPv6 for an IPv4 VIP, and for a while after; other calls are not."""
    vips = ["10.0.0.100", "10.0.0.101", "fd00::100", "fd00::101"]
    netns.ip("link", "set", "lo", "up")
    for vip in vips:
        netns.ip("addr", "add", f"{vip}/128" if ":" in vip else f"{vip}/32", "dev", "lo")

    def call_and_ask() -> list[Call]:
        server = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
        targets = ["10.0.0.100", "10.0.0.100", "::ffff:10.0.0.101", "fd00::101", "127.0.0.1", "::1"]
        opened = [socket.create_connection((target, 8080)) for target in targets]
        opened[1].close()  # the one that closes first waits
        accepted = [server.accept()[0] for _ in targets]
        accepted[1].close()
        found = sock_diag.calls(vips)
        assert [sock_diag.calls([vip]) for vip in ("10.0.0.102", "fd00::100")] == [[], []]
        for one in (*opened, *accepted, server):
            one.close()
        return found

    found = netns.run(call_and_ask)
    assert Counter(call for call in found if call.port == 8080) == {
        Call("10.0.0.100", 8080): 2,
        Call("10.0.0.101", 8080): 1,
        Call("fd00::101", 8080): 1,
    }
    wanted = [Wanted("tcp", vip, 8080) for vip in vips]
    assert [it.subject for it in own_clients.judge(found, wanted)] == ["10.0.0.100", "10.0.0.101", "fd00::101"]
    assert not netns.run(sock_diag.calls, [])


@pytest.mark.pitfall("I10")
def test_the_features_of_a_card_are_read(netns: Namespace) -> None:
    """What `ethtool -k` would say; switched off, it says so; an interface that is not there is an error."""
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    found = netns.run(ethtool.features, "v0")
    assert {"rx-lro", "rx-gro", "rx-gro-hw", "tx-checksum-ip-generic"} <= found.keys()
    assert found["rx-lro"] is False
    with pytest.raises(OSError, match="No such device"):
        netns.run(ethtool.features, "nothing0")
