"""earlier: what a release before this one has left in a database says the same as it said there."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lbstates.desired import DirectorState, Host, RealServerState, decode_state, encode_state
from lbstates.errors import BadState
from lbstates.facts import HostFacts
from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination
from lbstates.resources import resources_for

# As release 0.1 wrote them.
DIRECTORS: dict[str, Any] = {
    "role": "director", "cluster": "web", "format": 1,
    "hosts": {"d1": "10.0.0.1", "d2": "10.0.0.2"},
    "instances": [
        {"name": "www", "virtual_router_id": 100, "vips": ["10.0.0.100/24"], "priorities": {"d1": 150, "d2": 149}}
    ],
    "services": [
        {
            "protocol": "tcp", "vip": "10.0.0.100", "port": 80, "scheduler": "wlc", "forwarding": "direct",
            "destinations": [{"address": "10.0.0.11", "weight": 3}],
        }
    ],
    "vrrp": {"advert_interval": 0.5, "mode": "unicast", "version": 2, "auth_pass": "secret12", "interface": "eth1"},
}  # fmt: skip
REAL_SERVERS: dict[str, Any] = {
    "role": "realserver", "cluster": "web", "format": 1,
    "hosts": {"r1": "10.0.0.11", "r2": "10.0.0.12"}, "vips": {"10.0.0.100": ["r1"]},
}  # fmt: skip


def test_directors_of_format_1_keep_their_elections_and_services() -> None:
    """The next push begins from these: their virtual router ids and homes must not move."""
    state = decode_state(DIRECTORS)
    assert isinstance(state, DirectorState)
    (instance,), (service,) = state.instances, state.services
    assert state.hosts == {"d1": Host("10.0.0.1"), "d2": Host("10.0.0.2")}
    assert state.mode == "unicast"
    assert (instance.virtual_router_id, instance.priorities) == (100, {"d1": 150, "d2": 149})
    assert (instance.advert_interval, instance.version, instance.auth_pass) == (0.5, 2, "secret12")
    assert instance.interface == "eth1"
    assert [vip.address for vip in instance.vips] == ["10.0.0.100/24"]
    facts = HostFacts({"10.0.0.1": "eth1"}, "2.2.7", fifo="/run/lbminion/vrrp.fifo", lock="/run/lbminion/alive.lock")
    made = [it for it in resources_for(state, "d1", facts) if isinstance(it, Destination)]
    assert made == [Destination("tcp 10.0.0.100:80", "10.0.0.11", 80, "direct", 3)]
    assert service.scheduler == "wlc"
    assert decode_state(encode_state(state)) == state


def test_real_servers_of_format_1_keep_their_vips() -> None:
    """The VIP is on those that answered for it, and on no other."""
    state = decode_state(REAL_SERVERS)
    assert isinstance(state, RealServerState)
    facts = HostFacts({"10.0.0.11": "eth1", "10.0.0.12": "eth1"}, None, "")
    assert Address("lo", "10.0.0.100/32") in resources_for(state, "r1", facts)
    assert resources_for(state, "r2", facts) == ()


FORGED = [
    (("vrrp", "interface"), "../x"),
    (("instances", 0, "vips", 0), "10.0.0.100/24\n}"),
    (("services", 0, "forwarding"), "tunnel"),
    (("notify",), "/bin/sh"),
    (("hosts", "d1"), {"address": "10.0.0.1"}),
]


@pytest.mark.parametrize(("path", "value"), FORGED)
def test_what_no_earlier_release_wrote_is_refused(path: tuple[Any, ...], value: object) -> None:
    """That it says to be old opens no way around the checks."""
    forged: Any = copy.deepcopy(DIRECTORS)
    place = forged
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(BadState):
        decode_state(forged)
