"""One master and one director for all tests of this folder, and a fresh real server for each that wants one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from benchmarks.bench.network import Network
from benchmarks.bench.processes import Processes

from .place import Host, Place

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def whole_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The master `10.99.0.1`, and d1, which has joined and runs."""
    folder = tmp_path_factory.mktemp("place")
    with Network() as network, Processes(folder) as processes:
        place = Place(folder, network, processes)
        director = place.host("d1")
        director.join()
        director.start()
        try:
            yield place
        finally:
            director.end()


@pytest.fixture
def place(whole_place: Place) -> Iterator[Place]:
    """The place, whose master and director run; the hosts that the test added are removed after it."""
    yield whole_place
    if not whole_place.answers():
        whole_place.start_master()
    for name in [name for name in whole_place.hosts if name != "d1"]:
        whole_place.hosts.pop(name).remove()
    director = whole_place.hosts["d1"]
    director.until(director.is_online, "it is online for the next test")


@pytest.fixture
def stranger(place: Place) -> Host:
    """A host that has not joined."""
    return place.host(f"r{next(_numbers)}")


@pytest.fixture
def joined(stranger: Host) -> Host:
    """A host that has joined; its minion does not run."""
    stranger.join()
    return stranger


@pytest.fixture
def server(place: Place, joined: Host) -> Host:
    """A real server of the cluster, to which the VIP was pushed."""
    joined.start()
    place.push_with(joined)
    return joined


@pytest.fixture
def other(place: Place) -> Host:
    """Another host that has joined."""
    host = place.host(f"r{next(_numbers)}")
    host.join()
    return host
