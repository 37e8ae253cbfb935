"""Every way of forwarding, with real packets: client -> director (the guest itself) -> real server -> client.

Client and real server are namespaces on a link of their own; each is made what it shall be by the handlers alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from tests.netns.conftest import Namespace
from tests.uml.inside import modules
from tests.uml.inside.answering import Answering
from tests.uml.inside.conftest import run

from lbminion import sysctl
from lbminion.handlers.addresses import HostAddresses
from lbminion.handlers.gue_ports import HostGuePorts
from lbminion.handlers.handler import Handler
from lbminion.handlers.ipvs import IpvsTable
from lbminion.handlers.links import TunnelLinks
from lbminion.netlink.addresses import Addresses
from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination, Forwarding, Tunnel
from lbstates.kinds.gue_port import GuePort
from lbstates.kinds.kind import Resource
from lbstates.kinds.link import Link
from lbstates.kinds.service import Service
from lbstates.plan import diff, index

V4, V6 = "10.77.0.200", "fd77::200"
REAL4, REAL6 = "10.82.0.2", "fd82::2"
PORT, OTHER_PORT = 80, 8080
LINKS = (
    Link("tunl0", "ipip"),
    Link("gre0", "gre"),
    Link("sit0", "sit"),
    Link("ip6tnl0", "ip6tnl"),
    Link("ip6gre0", "ip6gre"),
)


@dataclass(frozen=True, slots=True)
class Place:
    client: Namespace
    real: Namespace


def make(handler: Handler, desired: Sequence[Resource], owned: Sequence[Resource] = ()) -> None:
    """Plan and apply, in the namespace of the calling thread."""
    wanted = {kind: of_kind.keys() for kind, of_kind in index((*desired, *owned)).items()}
    ours = {kind: dict.fromkeys(of_kind) for kind, of_kind in index(owned).items()}

    async def act() -> None:
        errors = await handler.apply(diff(index(desired), await handler.observe(wanted), ours))
        assert errors == [], [str(error) for error in errors]
        assert diff(index(desired), await handler.observe(wanted), ours) == ()

    asyncio.run(act())


def give_vips() -> None:
    async def act() -> None:
        async with Addresses() as addresses:
            handler = HostAddresses(addresses)
            vips = [Address("lo", f"{V4}/32"), Address("lo", f"{V6}/128")]
            assert await handler.apply(diff(index(vips), await handler.observe({}), {})) == []

    asyncio.run(act())


def serve(family: socket.AddressFamily, port: int) -> Answering:
    """Answer everybody on a port with the port's number."""

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(str(port).encode())

    serving = Answering()
    serving.at(socket.create_server(("", port), family=family), answer)
    return serving


def ask(vip: str, seconds: float) -> str:
    with socket.create_connection((vip, PORT), seconds) as connection:
        return connection.recv(10).decode()


@pytest.fixture(scope="module")
def place(loaded: None) -> Iterator[Place]:
    modules.load("veth", "ipip", "ip_gre", "sit", "ip6_tunnel", "ip6_gre", "fou")
    place = Place(Namespace(), Namespace())
    settings = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}
    for number, namespace in ((81, place.client), (82, place.real)):
        run("ip", "link", "add", f"v{number}", "type", "veth", "peer", "name", "e0", "netns", namespace.name)
        run("ip", "address", "add", f"10.{number}.0.1/24", "dev", f"v{number}")
        run("ip", "address", "add", f"fd{number}::1/64", "dev", f"v{number}", "nodad")
        run("ip", "link", "set", f"v{number}", "up")
        namespace.ip("address", "add", f"10.{number}.0.2/24", "dev", "e0")
        namespace.ip("address", "add", f"fd{number}::2/64", "dev", "e0", "nodad")
        namespace.ip("link", "set", "e0", "up")
        namespace.ip("route", "add", "default", "via", f"10.{number}.0.1")
        namespace.ip("-6", "route", "add", "default", "via", f"fd{number}::1")
        # The answers of direct routing come back through the director here: it has to let its own address pass.
        settings |= {
            f"net/ipv4/conf/v{number}/{key}": value for key, value in (("rp_filter", "0"), ("accept_local", "1"))
        }
    settings |= {"net/ipv4/conf/all/rp_filter": "0"}
    for key, value in settings.items():
        sysctl.write(key, value)
    run("ip", "address", "add", f"{V4}/32", "dev", "v81")
    run("ip", "address", "add", f"{V6}/128", "dev", "v81", "nodad")
    place.real.run(give_vips)
    links, ports = TunnelLinks(), HostGuePorts()
    place.real.run(make, links, LINKS)
    place.real.run(make, ports, [GuePort(6080), GuePort(6080, "ipv6")])
    for name in ("all", "e0", "tunl0", "gre0", "sit0"):
        place.real.run(sysctl.write, f"net/ipv4/conf/{name}/rp_filter", "0")
    families = (socket.AF_INET, socket.AF_INET6)
    servers = [place.real.run(serve, family, port) for family in families for port in (PORT, OTHER_PORT)]
    yield place
    for server in servers:
        server.end()
    links.close()
    ports.close()
    place.client.remove()
    place.real.remove()
    sysctl.write("net/ipv4/ip_forward", "0")


def through(
    place: Place, vip: str, destination: tuple[str, int, Forwarding, Tunnel | None], seconds: float = 10
) -> str:
    """What a client gets from a VIP with this one destination. Raises `TimeoutError` when that is nothing."""
    address, port, forwarding, tunnel = destination
    service = Service("tcp", vip, PORT, "rr")
    both = (service, Destination(service.identity, address, port, forwarding, 1, tunnel=tunnel))
    table = IpvsTable()
    make(table, both)
    try:
        return place.client.run(ask, vip, seconds)
    finally:
        make(table, (), both)
        table.close()


@pytest.mark.parametrize(
    ("vip", "real", "tunnel"),
    [
        (V4, REAL4, None),
        (V6, REAL6, None),
        *((vip, real, Tunnel("gre")) for vip in (V4, V6) for real in (REAL4, REAL6)),
        *((vip, real, Tunnel("ipip")) for vip, real in ((V4, REAL4), (V6, REAL4), (V6, REAL6))),
        *((vip, real, Tunnel("gue", 6080)) for vip, real in ((V4, REAL4), (V6, REAL4), (V6, REAL6))),
        *((V4, REAL4, Tunnel("gue", 6080, checksum)) for checksum in ("full", "remote")),
        *((V6, REAL6, Tunnel("gue", 6080, checksum)) for checksum in ("full", "remote")),
    ],
)
def test_a_client_reaches_the_vip_directly_and_through_every_tunnel(
    place: Place, vip: str, real: str, tunnel: Tunnel | None
) -> None:
    """Also when real server and VIP are of different families."""
    assert through(place, vip, (real, PORT, "direct" if tunnel is None else "tunnel", tunnel)) == str(PORT)


@pytest.mark.parametrize(("vip", "real"), [(V4, REAL4), (V6, REAL6)])
def test_masquerading_reaches_another_port_of_the_real_server(place: Place, vip: str, real: str) -> None:
    assert through(place, vip, (real, OTHER_PORT, "masquerade", None)) == str(OTHER_PORT)


@pytest.mark.parametrize("tunnel", [Tunnel("ipip"), Tunnel("gue", 6080)])
def test_the_ip6tnl_device_that_comes_with_the_module_drops_ipv4(place: Place, tunnel: Tunnel) -> None:
    """So an IPv4 VIP on a real server that is reached by IPv6 needs gre: the device's mode is ipv6 in ipv6."""
    with pytest.raises(TimeoutError):
        through(place, V4, (REAL6, PORT, "tunnel", tunnel), seconds=2)


def test_a_gre_device_that_comes_with_the_module_drops_what_carries_a_checksum(place: Place) -> None:
    """So a cluster file cannot ask for it: the kernel takes such packets only on a device that was made for them."""
    with pytest.raises(TimeoutError):
        through(place, V4, (REAL4, PORT, "tunnel", Tunnel("gre", 0, "full")), seconds=2)
