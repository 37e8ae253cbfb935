"""What the kernel counts of connections that nobody answers, and of short ones that somebody does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.netns.conftest import Namespace
from tests.uml.inside import modules
from tests.uml.inside.answering import Answering, greet
from tests.uml.inside.conftest import run

from lbminion import sysctl
from lbminion.handlers.ipvs import IpvsTable
from lbminion.health.suspicion import Suspicions
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.plan import Change

VIP, CLIENT, DIRECTOR, REAL = "10.86.0.200", "10.86.0.9", "10.86.0.1", "10.86.0.11"
WELL, REFUSED, LOST = 80, 81, 82
SECONDS = 8


@contextmanager
def hosts() -> Iterator[tuple[Namespace, Namespace, Namespace]]:
    """Give client, director and real server, on one bridge."""
    modules.load("veth", "bridge")
    made = [Namespace(), Namespace(), Namespace()]
    run("ip", "link", "add", "br86", "type", "bridge", "mcast_snooping", "0")
    run("ip", "link", "set", "br86", "up")
    for number, (namespace, address) in enumerate(zip(made, (CLIENT, DIRECTOR, REAL), strict=True)):
        run("ip", "link", "add", f"q{number}", "type", "veth", "peer", "name", "e0", "netns", namespace.name)
        run("ip", "link", "set", f"q{number}", "master", "br86", "up")
        namespace.ip("link", "set", "e0", "up")
        namespace.ip("address", "add", f"{address}/24", "dev", "e0")
    client, director, real = made
    director.ip("address", "add", f"{VIP}/32", "dev", "e0")
    for key, value in (("arp_ignore", "1"), ("arp_announce", "2"), ("rp_filter", "0")):
        real.run(sysctl.write, f"net/ipv4/conf/all/{key}", value)
    real.ip("address", "add", f"{VIP}/32", "dev", "lo")
    try:
        yield client, director, real
    finally:
        for namespace in made:
            namespace.remove()
        run("ip", "link", "del", "br86")


def serve() -> Answering:
    """Answer on the port that is well, and close; the queue of the one that is lost is full after a moment."""
    serving = Answering()
    serving.at(socket.create_server(("", WELL)), greet("ok"))
    return serving


def ask(port: int, until: float) -> None:
    """Ask again and again, as clients do: a short request each, ten in a second."""
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection((VIP, port), 0.1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while connection.recv(100):
                pass
        time.sleep(0.05)


@pytest.mark.usefixtures("loaded")
def test_what_nobody_answers_is_suspected_and_nothing_else() -> None:
    """Refused, and lost on a full queue; short connections that are answered are well."""
    with hosts() as (client, director, real):
        table = IpvsTable()
        services = {port: Service("tcp", VIP, port, "rr") for port in (WELL, REFUSED, LOST)}
        there = {port: Destination(it.identity, REAL, port, "direct", 1) for port, it in services.items()}
        changes = [Change("service", "add", it.identity, after=it) for it in services.values()]
        changes += [Change("destination", "add", it.identity, after=it) for it in there.values()]
        assert director.run(lambda: table.table().apply(changes)) == []
        server, full = real.run(serve), real.run(lambda: socket.create_server(("", LOST), backlog=0))
        until = time.monotonic() + SECONDS
        asking = threading.Thread(target=lambda: client.run(many, until, timeout=60))
        asking.start()
        suspicions, found = Suspicions(), set[str]()
        watched = [it.identity for it in there.values()]
        while time.monotonic() < until:
            snapshot = director.run(table.snapshot)
            assert snapshot is not None
            found |= {it.identity for it in suspicions.read(watched, snapshot.statistics.destinations)[0]}
            time.sleep(1)
        asking.join()
        server.end()
        full.close()
        director.run(run, "ipvsadm", "-C")
        table.close()
    assert found == {there[REFUSED].identity, there[LOST].identity}


def many(until: float) -> None:
    """Be several clients, all of them in the namespace of the calling thread."""
    threads = [threading.Thread(target=ask, args=(port, until)) for port in (WELL, REFUSED, LOST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
