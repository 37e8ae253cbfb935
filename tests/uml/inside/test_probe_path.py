"""Probes by the VIP, with real packets: a director -> IPVS -> real server -> director, as the resources of a state make it.

Directors and real servers are namespaces on one bridge. Each real server answers with its own name, so that it is seen
who was asked; one director holds the VIP, the other one does not.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.netns.conftest import Namespace
from tests.uml.inside import modules
from tests.uml.inside.answering import Answering, greet
from tests.uml.inside.conftest import run

from lbminion import sysctl
from lbminion.handlers.handler import Handler
from lbminion.handlers.ipvs import IpvsTable
from lbminion.handlers.sysctls import Sysctls
from lbminion.health.outcome import Outcome, ProbeFailed, Target
from lbminion.health.probes import asker
from lbminion.health.targets import Watched, watched
from lbstates import probe_path
from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.checks import Check, HttpCheck, TcpCheck, UdpCheck
from lbstates.desired import DirectorState, Host
from lbstates.facts import HostFacts
from lbstates.kinds.destination import Forwarding, Tunnel
from lbstates.kinds.service import Protocol
from lbstates.plan import diff, index
from lbstates.vrrp import Vip, VrrpInstance

V4, V6 = "10.83.0.200", "fd83::200"
PORT = 80
HOLDER, BACKUP = "d1", "d2"
NUMBERS = {HOLDER: 1, BACKUP: 2, "r1": 11, "r2": 12}
TCP = TcpCheck(timeout=1.0)
TUNNEL = Tunnel()


@dataclass
class Place:
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    servers: list[Answering] = field(default_factory=list)

    def __getitem__(self, name: str) -> Namespace:
        return self.namespaces[name]


def address(name: str, family: int = 4) -> str:
    return f"10.83.0.{NUMBERS[name]}" if family == 4 else f"fd83::{NUMBERS[name]}"


def serve(name: str) -> Answering:
    """Answer HTTP and datagrams of both families with the real server's name."""

    def echo(sock: socket.socket) -> None:
        _, peer = sock.recvfrom(1000)
        sock.sendto(name.encode(), peer)

    serving = Answering()
    stream = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    serving.at(stream, greet(f"HTTP/1.0 200 OK\r\n\r\n{name}"))
    # One socket per address, so that an answer comes from where it was asked.
    for vip, own_family in ((V4, socket.AF_INET), (V6, socket.AF_INET6)):
        made = socket.socket(own_family, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND
        made.bind((vip, PORT))
        serving.at(made, echo)
    return serving


@pytest.fixture(scope="module")
def place(loaded: None) -> Iterator[Place]:
    modules.load("veth", "bridge", "ipip", "ip6_tunnel")
    place = Place()
    run("ip", "link", "add", "br83", "type", "bridge", "mcast_snooping", "0")
    run("ip", "link", "set", "br83", "up")
    for name, number in NUMBERS.items():
        namespace = place.namespaces[name] = Namespace()
        run("ip", "link", "add", f"p{number}", "type", "veth", "peer", "name", "e0", "netns", namespace.name)
        run("ip", "link", "set", f"p{number}", "master", "br83", "up")
        namespace.ip("link", "set", "e0", "up")
        namespace.ip("address", "add", f"{address(name)}/24", "dev", "e0")
        namespace.ip("address", "add", f"{address(name, 6)}/64", "dev", "e0", "nodad")
    # As a distribution may have it; the other extreme is what the kernel has.
    place[HOLDER].run(sysctl.write, "net/ipv4/conf/all/rp_filter", "1")
    place[HOLDER].ip("address", "add", f"{V4}/32", "dev", "e0")
    # Deprecated, as keepalived makes it: no source of what the director sends itself, wrapped packets among it.
    place[HOLDER].ip("address", "add", f"{V6}/128", "dev", "e0", "nodad", "preferred_lft", "0")
    for name in ("r1", "r2"):
        real = place[name]
        for key, value in (("arp_ignore", "1"), ("arp_announce", "2"), ("rp_filter", "0")):
            real.run(sysctl.write, f"net/ipv4/conf/all/{key}", value)
        for tunnel in ("tunl0", "ip6tnl0"):
            real.ip("link", "set", tunnel, "up")
            real.run(sysctl.write, f"net/ipv4/conf/{tunnel}/rp_filter", "0")
        real.ip("address", "add", f"{V4}/32", "dev", "lo")
        real.ip("address", "add", f"{V6}/128", "dev", "lo", "nodad")
        place.servers.append(real.run(serve, name))
    yield place
    for server in place.servers:
        server.end()
    for namespace in place.namespaces.values():
        namespace.remove()
    run("ip", "link", "del", "br83")


def state(check: Check, vip: str, forwarding: Forwarding, protocol: Protocol = "tcp") -> DirectorState:
    """Two directors, and a service with both real servers."""
    tunnel = TUNNEL if forwarding == "tunnel" else None
    version = 6 if ":" in vip else 4
    destinations = tuple(
        ServiceDestination(address(name, version), PORT, 1, forwarding, tunnel=tunnel, host=name)
        for name in ("r1", "r2")
    )
    service = VirtualService(protocol, vip, PORT, "rr", destinations, check=check)
    instance = VrrpInstance(
        name="web", virtual_router_id=51, vips=(Vip(f"{vip}/{128 if version == 6 else 32}"),),
        priorities={HOLDER: 150, BACKUP: 100},
    )  # fmt: skip
    hosts = {name: Host(address(name), address(name, 6)) for name in (HOLDER, BACKUP)}
    return DirectorState("web", hosts, (instance,), (service,))


@contextmanager
def directed(place: Place, name: str, made: DirectorState) -> Iterator[dict[str, Watched]]:
    """Make a director what the state says of probes; gives what it watches, by real server."""
    facts = HostFacts({address(name): "e0", address(name, 6): "e0"}, "2.2.8", "/run/fifo")
    resources = index(probe_path.resources(made, name, facts))
    wanted = {kind: of_kind.keys() for kind, of_kind in resources.items()}
    table = IpvsTable()
    handlers: list[Handler] = [table, Sysctls()]

    async def make() -> None:
        for handler in handlers:
            desired = {kind: resources[kind] for kind in handler.kinds}
            plan = diff(desired, await handler.observe(wanted), {})
            assert await handler.apply(plan) == []

    place[name].run(asyncio.run, make())
    found = watched((made,), name, facts)
    try:
        yield {it.real_server: it for it in found.values()}
    finally:
        place[name].run(run, "ipvsadm", "-C")
        table.close()


def probe(place: Place, name: str, there: Target, check: Check) -> Outcome:
    """Probe once from a director."""

    async def ask() -> Outcome:
        async with asyncio.timeout(check.timeout):
            return await asker(Path("/nonexistent"))(there, check)

    return place[name].run(asyncio.run, ask())


WAYS = [(V4, "direct"), (V4, "tunnel"), (V6, "direct"), (V6, "tunnel")]


@pytest.mark.pitfall("H1")
@pytest.mark.parametrize("director", [HOLDER, BACKUP])
@pytest.mark.parametrize(("vip", "forwarding"), WAYS)
def test_a_probe_by_the_vip_reaches_just_the_real_server_that_it_is_for(
    place: Place, director: str, vip: str, forwarding: Forwarding
) -> None:
    """From the director that holds the VIP, and from the one that does not; TCP and UDP."""
    for name in ("r1", "r2"):
        http, udp = HttpCheck(timeout=2, interval=2, body=name), UdpCheck(timeout=2, interval=2, send="?", expect=name)
        with directed(place, director, state(http, vip, forwarding)) as watching:
            for _ in range(3):
                assert probe(place, director, watching[name].probe.target, http).passed
        with directed(place, director, state(udp, vip, forwarding, "udp")) as watching:
            assert probe(place, director, watching[name].probe.target, udp).passed


@pytest.mark.pitfall("H1")
@pytest.mark.parametrize("director", [HOLDER, BACKUP])
@pytest.mark.parametrize(("vip", "forwarding"), WAYS)
def test_a_vip_that_is_missing_on_a_real_server_fails_its_check(
    place: Place, director: str, vip: str, forwarding: Forwarding
) -> None:
    """Although the service answers at the real server's own address. The other real server is well."""
    length = 128 if ":" in vip else 32
    with directed(place, director, state(TCP, vip, forwarding)) as watching:
        there = {name: it.probe.target for name, it in watching.items()}
        place["r1"].ip("address", "del", f"{vip}/{length}", "dev", "lo")
        try:
            with pytest.raises((ProbeFailed, TimeoutError)):
                probe(place, director, there["r1"], TCP)
            own = Target(there["r1"].real_server, PORT)
            assert probe(place, director, own, TCP).passed
            assert probe(place, director, there["r2"], TCP).passed
        finally:
            place["r1"].ip("address", "add", f"{vip}/{length}", "dev", "lo", *(["nodad"] if length == 128 else []))
        assert probe(place, director, there["r1"], TCP).passed


def test_a_service_that_does_not_listen_refuses_the_probe(place: Place) -> None:
    """The reset comes from the VIP."""
    check = TcpCheck(timeout=1.0, port=81)
    for director in (HOLDER, BACKUP):
        with (
            directed(place, director, state(check, V4, "direct")) as watching,
            pytest.raises(ProbeFailed, match="refused"),
        ):
            probe(place, director, watching["r1"].probe.target, check)
