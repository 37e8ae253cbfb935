"""resources: what each host of the five-VM cluster shall have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, RealServerState
from lbstates.errors import CannotDerive
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import Keepalived
from lbstates.plan import diff, index
from lbstates.resources import HostFacts, resources_for

if TYPE_CHECKING:
    from .conftest import FactsOf

HOSTS = {
    "netology1": "172.28.128.10",
    "netology2": "172.28.128.20",
    "netology3": "172.28.128.30",
    "netology4": "172.28.128.40",
}


@pytest.mark.parametrize("host", HOSTS)
def test_each_host_gets_what_is_written_down_for_it(
    host: str, director_state: DirectorState, real_server_state: RealServerState, facts_of: FactsOf, golden: Path
) -> None:
    """The plan of an empty host, as a user reads it, and the whole keepalived.conf of a director."""
    state = director_state if host in director_state.hosts else real_server_state
    resources = resources_for(state, host, facts_of(HOSTS[host]))
    plan = diff(index(resources), {}, {})
    assert "".join(f"{change.describe()}\n" for change in plan) == (golden / f"{host}.plan").read_text()
    for resource in resources:
        if isinstance(resource, Keepalived):
            assert resource.config == (golden / f"{host}.keepalived.conf").read_text()


def test_resources_come_in_a_safe_order(
    director_state: DirectorState, real_server_state: RealServerState, facts_of: FactsOf
) -> None:
    for state in (director_state, real_server_state):
        for host, entry in state.hosts.items():
            resources = resources_for(state, host, facts_of(entry.address))
            assert [r.identity for r in resources] == [c.identity for c in diff(index(resources), {}, {})]


def test_a_host_that_is_not_named_shall_have_nothing(director_state: DirectorState, facts_of: FactsOf) -> None:
    assert resources_for(director_state, "netology9", facts_of("172.28.128.90")) == ()


def test_a_real_server_has_the_vips_of_its_own_services_only(netology_text: str, facts_of: FactsOf) -> None:
    """R8: a VIP that it does not answer for would make it talk to itself. One that no service uses is on none."""
    text = netology_text.replace("services:", "  b: 172.28.128.201/24\n  c: 172.28.128.202/24\nservices:")
    text += (
        "  - {vip: b, port: 80, real_servers: {netology2: 1}}\n  - {vip: b, port: 443, real_servers: {netology2: 1}}\n"
    )
    state = compile_cluster(parse(text, "x"))["realserver"]
    found = {
        host: [r.address for r in resources_for(state, host, facts_of(HOSTS[host])) if isinstance(r, Address)]
        for host in ("netology1", "netology2")
    }
    assert found == {
        "netology1": ["172.28.128.200/32"],
        "netology2": ["172.28.128.200/32", "172.28.128.201/32"],
    }


def test_a_real_server_without_services_shall_have_nothing(netology_text: str, facts_of: FactsOf) -> None:
    state = compile_cluster(parse(netology_text.replace(", netology2: 1}", "}"), "x"))["realserver"]
    assert resources_for(state, "netology2", facts_of(HOSTS["netology2"])) == ()


def test_an_address_that_the_host_lacks_is_named(real_server_state: RealServerState, facts_of: FactsOf) -> None:
    with pytest.raises(CannotDerive) as raised:
        resources_for(real_server_state, "netology1", facts_of("172.28.128.11"))
    assert str(raised.value) == (
        "netology1: address 172.28.128.10: no interface of this host has it; configure it, or correct it in the "
        "cluster file (here: eth0 10.0.2.15, eth1 172.28.128.11)"
    )


def test_a_host_without_addresses_is_told_so(real_server_state: RealServerState) -> None:
    with pytest.raises(CannotDerive, match="no address at all"):
        resources_for(real_server_state, "netology1", HostFacts({}, None, "/run/fifo"))


def test_a_director_without_keepalived_is_told_to_install_it(director_state: DirectorState, facts_of: FactsOf) -> None:
    with pytest.raises(CannotDerive, match=r"netology3: keepalived is not installed; install it"):
        resources_for(director_state, "netology3", facts_of("172.28.128.30", keepalived=None))


def test_an_interface_that_the_host_lacks_is_named(netology_text: str, facts_of: FactsOf) -> None:
    state = compile_cluster(parse(netology_text + "vrrp: {interface: bond0}\n", "x"))["director"]
    with pytest.raises(CannotDerive, match=r"interface bond0: .*`vrrp`.*eth1 172\.28\.128\.30"):
        resources_for(state, "netology3", facts_of("172.28.128.30"))


def test_a_fifo_that_keepalived_could_misread_is_refused(director_state: DirectorState) -> None:
    facts = HostFacts({"172.28.128.30": "eth1"}, "2.2.7", "/run/a b")
    with pytest.raises(CannotDerive, match=r"'/run/a b'.*absolute path"):
        resources_for(director_state, "netology3", facts)
