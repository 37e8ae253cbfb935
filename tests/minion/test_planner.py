"""Which cluster the happenings of a host are filed under."""

from __future__ import annotations

from lbminion.planner import home
from lbstates.desired import DirectorState, Host, RealServerState


def director(cluster: str, *hosts: str) -> DirectorState:
    return DirectorState(cluster, {host: Host(f"10.0.0.{n}") for n, host in enumerate(hosts, 1)}, (), ())


def real_server(cluster: str, *hosts: str) -> RealServerState:
    return RealServerState(cluster, {host: Host(f"10.0.1.{n}") for n, host in enumerate(hosts, 1)}, ())


def test_it_is_the_cluster_that_names_the_host() -> None:
    """Not one that it has left, whose states it still holds."""
    assert home("a", [director("old", "b"), real_server("new", "a")]) == "new"


def test_being_a_director_counts_more() -> None:
    """Transitions are of the directors' cluster."""
    assert home("a", [real_server("one", "a"), director("two", "a")]) == "two"


def test_of_several_there_is_none() -> None:
    """Nor is there when no state names the host."""
    assert home("a", [director("one", "a"), director("two", "a")]) == ""
    assert home("a", [director("one", "b")]) == ""
    assert home("a", []) == ""
