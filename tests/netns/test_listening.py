"""A real server that looks whether its own services listen."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.netns.conftest import Namespace

from lbminion.doctor.listeners import Wanted, asked
from lbminion.health import listening
from lbminion.health.listening import Listening
from lbstates.desired import Answer, Host, RealServerState
from lbwire import events, health_events

pytestmark = pytest.mark.needs_root
HOST, VIP = "r1", "10.84.0.200"


def state(*ports: str, protocol: str = "tcp", vip: str = VIP) -> RealServerState:
    answer = Answer(vip, protocol, ports, "direct", {HOST: 0})  # type: ignore[arg-type]
    return RealServerState("c", {HOST: Host("10.84.0.11", "fd84::11")}, (answer,))


@contextmanager
def watching(*states: RealServerState) -> Iterator[tuple[Listening, list[tuple[str, tuple[str, ...]]]]]:
    said: list[tuple[str, tuple[str, ...]]] = []

    def report(event: events.Data, cluster: str) -> None:
        assert isinstance(event, health_events.ServiceSilent | health_events.ServiceListening)
        assert cluster == "c"
        said.append((event.TYPE, event.endpoints))

    made = Listening(HOST, report)
    made.follow(states)
    yield made, said


def test_it_has_to_listen_where_clients_are_sent() -> None:
    """On the VIP; behind masquerading on its own address, of the VIP's family and with its own port."""
    assert asked((state("80", "443"),), HOST) == [Wanted("tcp", VIP, 80), Wanted("tcp", VIP, 443)]
    hosts = {HOST: Host("10.84.0.11", "fd84::11")}
    masked = RealServerState("c", hosts, (Answer("fd84::200", "udp", ("53",), "masquerade", {HOST: 5353}),))
    assert asked((masked,), HOST) == [Wanted("udp", "fd84::11", 5353)]
    assert asked((masked,), "another") == []


@pytest.fixture
def here(netns: Namespace) -> Namespace:
    """A real server with its VIP."""
    netns.ip("address", "add", f"{VIP}/32", "dev", "lo")
    return netns


def run(here: Namespace, made: Listening, times: int) -> None:
    """Look so often, with sockets of the namespace."""

    async def looks() -> None:
        for _ in range(times):
            await made.look()

    here.run(asyncio.run, looks())


@pytest.fixture(autouse=True)
def _in_the_same_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace is a thread's: the question to the kernel has to be asked by the one that looks."""

    async def here(function: object, *arguments: object) -> object:
        return function(*arguments)  # type: ignore[operator]

    monkeypatch.setattr(listening.asyncio, "to_thread", here)


@pytest.mark.pitfall("H1")
@pytest.mark.pitfall("R11")
@pytest.mark.parametrize(("address", "well"), [("", True), (VIP, True), ("127.0.0.1", False)])
def test_a_service_that_listens_elsewhere_is_silent(here: Namespace, address: str, well: bool) -> None:
    """Said after two looks, once; and once that it listens."""
    server = here.run(lambda: socket.create_server((address, 80)))
    with watching(state("80")) as (made, said):
        run(here, made, 1)
        assert said == []
        run(here, made, 3)
        assert said == ([] if well else [("health.silent", (f"tcp {VIP}:80",))])
        assert made.silent == (() if well else (f"tcp {VIP}:80",))
        server.close()
        run(here, made, 2)
        assert said == [("health.silent", (f"tcp {VIP}:80",))]
        with here.run(lambda: socket.create_server((VIP, 80))):
            run(here, made, 2)
    assert said[-1] == ("health.listening", (f"tcp {VIP}:80",))
    assert made.silent == ()


def test_a_service_whose_queue_is_full_is_silent(here: Namespace) -> None:
    """It listens, and takes nobody."""
    server = here.run(lambda: socket.create_server((VIP, 80), backlog=0))
    with server, watching(state("80")) as (made, said), here.run(lambda: socket.create_connection((VIP, 80))):
        run(here, made, 2)
    assert said == [("health.silent", (f"tcp {VIP}:80",))]


def test_a_vip_that_is_missing_is_not_asked_elsewhere(netns: Namespace) -> None:
    """That it is missing is drift, and said by the reconciler: here the service listens."""
    with watching(state("80")) as (made, said), netns.run(lambda: socket.create_server(("", 80))):
        run(netns, made, 3)
    assert said == []


def test_datagrams_are_looked_for_in_the_list_of_sockets(here: Namespace) -> None:
    with watching(state("53", protocol="udp")) as (made, said):
        run(here, made, 2)
        assert said == [("health.silent", (f"udp {VIP}:53",))]


def test_what_is_no_longer_sent_here_is_forgotten(here: Namespace) -> None:
    """It is neither silent nor said to listen."""
    with watching(state("80")) as (made, said):
        run(here, made, 2)
        made.follow(())
        assert made.silent == ()
        run(here, made, 2)
    assert len(said) == 1
