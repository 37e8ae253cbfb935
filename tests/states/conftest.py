"""The five-VM cluster, as text, as a cluster and as role states."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbstates.clusterfile import Cluster, parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, RealServerState
from lbstates.resources import HostFacts

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def golden() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def netology_text() -> str:
    return (GOLDEN / "netology.yaml").read_text()


@pytest.fixture(scope="session")
def netology(netology_text: str) -> Cluster:
    return parse(netology_text, "netology.yaml")


@pytest.fixture(scope="session")
def director_state(netology: Cluster) -> DirectorState:
    state = compile_cluster(netology)["director"]
    assert isinstance(state, DirectorState)
    return state


@pytest.fixture(scope="session")
def real_server_state(netology: Cluster) -> RealServerState:
    state = compile_cluster(netology)["realserver"]
    assert isinstance(state, RealServerState)
    return state


@pytest.fixture
def facts_of() -> FactsOf:
    return FactsOf()


class FactsOf:
    """Facts of a host of the five-VM cluster: its address is on eth1, and eth0 is Vagrant's."""

    def __call__(self, address: str, keepalived: str | None = "2.2.7") -> HostFacts:
        return HostFacts(
            {"10.0.2.15": "eth0", address: "eth1"},
            keepalived,
            "/run/lbminion/vrrp.fifo",
            "/run/lbminion/alive.lock",
            adjustments="/run/lbminion/adjustments",
        )
