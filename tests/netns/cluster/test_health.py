"""Checks in a cluster of real minions and real servers: out and in again, and what everybody is told of it.

The kernel has no IPVS here, so real servers are asked at their own addresses, and the director's table is in its memory;
the way by the VIP is tried in tests/uml and tests/lab.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from .place import CLUSTER, VIP, Host, Place, inside

CHECK = """
check: {tcp: {}, interval: 0.3, timeout: 0.2, rise: 2, fall: 2, by_vip: false}
"""
SERVICE = f"tcp {VIP}:80"


class Web:
    """A service on a real server, which can be ended and begun again."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._socket: socket.socket | None = None
        self.begin()

    def begin(self) -> None:
        """Listen on port 80 of every address."""
        made = self._socket = inside(self.host.namespace, lambda: socket.create_server(("", 80), backlog=128))
        threading.Thread(target=_accept, args=(made,), daemon=True).start()

    def end(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.close()


@pytest.fixture
def webs(place: Place, joined: Host, other: Host) -> Iterator[list[Web]]:
    """Two real servers of the cluster with a service each; the director checks them."""
    found = []
    for host in (joined, other):
        host.start()
        found.append(Web(host))
    yield found
    for web in found:
        web.end()


def push(place: Place, *webs: Web) -> None:
    """Push the cluster with these real servers, instead of whichever an earlier test had."""
    text = place.cluster_file(*(web.host for web in webs)) + CHECK
    answer = place.ask("push", text=text, file="web.yaml", by="test", timeout=60, options={"below_floor": True})
    assert answer["outcome"] == "converged", answer


def weights(place: Place) -> dict[str, int]:
    """Name the weights in the director's table, as its samples say."""
    found = place.ask("stats", cluster=CLUSTER)["clusters"][CLUSTER]["d1"]["destinations"]
    return {it["identity"].rpartition(" ")[2].partition(":")[0]: it["weight"] for it in found}


def test_a_real_server_that_dies_is_taken_out_and_comes_back(place: Place, webs: list[Web]) -> None:
    """Its weight goes to 0 and back, and nothing of that is drift."""
    first, second = webs
    director = place.hosts["d1"]
    since = place.cursor()
    push(place, first, second)
    both = {first.host.address: 1, second.host.address: 1}
    director.until(lambda: weights(place) == both, "both take connections")
    first.end()
    down = director.event("health.changed", since)
    assert (down["data"]["service"], down["data"]["real_server"]) == (SERVICE, first.host.name)
    assert (down["data"]["state"], down["data"]["reason"]) == ("down", "connection refused")
    director.until(lambda: weights(place) == both | {first.host.address: 0}, "one takes none")
    silent = first.host.event("health.silent", since)
    assert silent["data"]["endpoints"] == [SERVICE]
    first.begin()
    director.until(lambda: weights(place) == both, "it does again")
    director.until(lambda: len(director.events("health.changed", since=since)) == 2, "and that is told")
    listening = first.host.event("health.listening", since)
    assert listening["data"]["endpoints"] == [SERVICE]
    assert not director.events("drift.found", "drift.healed", since=since)


@pytest.mark.pitfall("H2")
def test_a_pool_of_which_all_fail_keeps_its_floor(place: Place, webs: list[Web]) -> None:
    """Half of it stays in; it is raised, and over when they answer again."""
    director = place.hosts["d1"]
    push(place, *webs)
    director.until(lambda: set(weights(place).values()) == {1}, "both take connections")
    since = place.cursor()
    for web in webs:
        web.end()
    frozen = director.event("pool.frozen", since)
    assert frozen["data"]["service"] == SERVICE
    assert len(frozen["data"]["kept"]) == 1
    director.until(lambda: sorted(weights(place).values()) == [0, 1], "one stays in")
    for web in webs:
        web.begin()
    director.event("pool.thawed", since)
    director.until(lambda: set(weights(place).values()) == {1}, "both take connections")


@pytest.mark.pitfall("H3")
def test_a_minion_that_is_killed_and_started_takes_nobody_out(place: Place, webs: list[Web]) -> None:
    """Its verdicts are kept; who failed meanwhile is found."""
    director = place.hosts["d1"]
    push(place, *webs)
    director.until(lambda: set(weights(place).values()) == {1}, "both take connections")
    since = place.cursor()
    webs[0].end()
    director.event("health.changed", since)
    director.until(lambda: 0 in weights(place).values(), "one takes none")
    director.stop(signal.SIGTERM)
    director.start()
    director.until(lambda: weights(place).get(webs[0].host.address) == 0, "it still takes none")
    director.until(lambda: weights(place).get(webs[1].host.address) == 1, "the other one does")
    assert len(director.events("health.changed", since=since)) == 1
    webs[0].begin()
    director.until(lambda: set(weights(place).values()) == {1}, "both take connections again")
