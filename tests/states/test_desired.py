"""desired: states travel unchanged, and what is not exactly one is refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.desired import DirectorState, RealServerState, RoleState, decode_state, encode_state, role_of
from lbstates.errors import BadState


@pytest.fixture
def encoded(director_state: DirectorState) -> dict[str, Any]:
    return copy.deepcopy(encode_state(director_state))


def test_a_state_survives_its_way(director_state: DirectorState, real_server_state: RealServerState) -> None:
    states: tuple[RoleState, ...] = (director_state, real_server_state)
    for state in states:
        assert decode_state(encode_state(state)) == state
        assert encode_state(state)["role"] == role_of(state)


def test_lists_do_for_tuples(encoded: dict[str, Any], director_state: DirectorState) -> None:
    """Message formats know one kind of sequence."""
    encoded["services"] = list(encoded["services"])
    assert decode_state(encoded) == director_state


def test_secrets_go_to_directors_only(real_server_state: RealServerState) -> None:
    assert "auth_pass" not in str(encode_state(real_server_state))


def test_a_password_is_not_in_the_representation(director_state: DirectorState) -> None:
    secret = msgspec.structs.replace(director_state.instances[0], version=2, auth_pass="secret12")
    assert "secret" not in repr(msgspec.structs.replace(director_state, instances=(secret,)))


FORGERIES = {
    # path, value, what the error names
    "unknown field": (("shell",), "reboot", "shell"),
    "unknown role": (("role",), "router", "router"),
    "unknown format": (("format",), 3, "format"),
    "format of an older master": (("format",), 1, "format"),
    "unknown field deep inside": (("instances", 0, "notify"), "/bin/sh", "notify"),
    "line in the cluster's name": (("cluster",), "a\nnotify_master /bin/sh", "cluster"),
    "trailing line feed": (("cluster",), "a\n", "cluster"),
    "line in a host's name": (("hosts", "a\nb"), {"address": "10.0.0.1"}, "hosts"),
    "line in a host's address": (("hosts", "netology3", "address"), "10.0.0.1\n}", "not an IP address"),
    "scope in a host's address": (("hosts", "netology3", "address6"), "fe80::1%eth0", "not an IP address"),
    "path in a host's interface": (("hosts", "netology3", "interface"), "a/../b", "interface"),
    "block in the password": (("instances", 0, "auth_pass"), "x}\n", "auth_pass"),
    "path in the interface": (("instances", 0, "interface"), "../../x", "interface"),
    "line in a tracked interface": (("instances", 0, "track_interfaces"), ["eth1\n}"], "track_interfaces"),
    "line in a sync group": (("instances", 0, "sync_group"), "g {\nnotify /bin/sh", "sync_group"),
    "line in a route": (("instances", 0, "routes"), [{"to": "10.0.0.0/8\n}"}], "not a network"),
    "line in a gateway": (("instances", 0, "routes"), [{"to": "default", "via": "::1\n}"}], "not an IP address"),
    "line in a rule": (("instances", 0, "rules"), [{"table": 1, "source": "all\n}"}], "not a network"),
    "negative table": (("instances", 0, "rules"), [{"table": -1}], "table"),
    "version 4": (("instances", 0, "version"), 4, "version"),
    "advertisements without pause": (("instances", 0, "advert_interval"), 0, "advert_interval"),
    "endless announcements": (("garp", "repeat"), 2**40, "repeat"),
    "line in an instance's name": (("instances", 0, "name"), "a {", "name"),
    "VIP that is none": (("instances", 0, "vips"), [{"address": "10.0.0.1/24 dev eth0"}], "prefix length"),
    "instance without VIP": (("instances", 0, "vips"), [], "no VIP"),
    "VRID 0": (("instances", 0, "virtual_router_id"), 0, "virtual_router_id"),
    "priority 255": (("instances", 0, "priorities", "netology3"), 255, "priorities"),
    "equal priorities (V6)": (("instances", 0, "priorities", "netology3"), 240, "same priority"),
    "priority missing": (("instances", 0, "priorities"), {"netology3": 250}, "every director a priority"),
    "loopback as VIP": (("services", 0, "vip"), "::1", "not an IP address"),
    "mapped address as VIP": (("services", 0, "vip"), "::ffff:10.0.0.1", "not an IP address"),
    "both families in one instance": (
        ("instances", 0, "vips"),
        [{"address": "10.0.0.1/24"}, {"address": "fd00::1/64"}],
        "both families",
    ),
    "unknown protocol": (("services", 0, "protocol"), "icmp", "protocol"),
    "service of nothing": (("services", 0, "protocol"), None, "needs a protocol and a VIP"),
    "marked ports without mark": (("services", 0, "marked_ports"), ["80"], "a firewall mark of ours"),
    "ports that end the rule": (("services", 0, "marked_ports"), ["80 accept; drop"], "marked_ports"),
    "negative mark": (("services", 0, "mark"), -1, "mark"),
    "unknown flag": (("services", 0, "flags"), ["sh-port; x"], "flags"),
    "endless persistence": (("services", 0, "persistence"), {"timeout": 10**9, "netmask": 32}, "not possible"),
    "netmask of the other family": (("services", 0, "persistence"), {"timeout": 9, "netmask": 64}, "not possible"),
    "unknown engine": (("services", 0, "persistence"), {"timeout": 9, "netmask": 32, "engine": "x"}, "engine"),
    "unknown forwarding": (("services", 0, "destinations", 0, "forwarding"), "nat", "forwarding"),
    "local on the master's word": (("services", 0, "destinations", 0, "forwarding"), "local", "which destination"),
    "tunnel without its kind": (("services", 0, "destinations", 0, "forwarding"), "tunnel", "none although it is"),
    "threshold upside down": (("services", 0, "destinations", 0, "lower"), 5, "lower threshold"),
    "sysctl outside": (("ipvs", "sysctls", "../../kernel/core_pattern"), "1", "sysctls"),
    "text as sysctl": (("ipvs", "sysctls", "sync_threshold"), "|/bin/sh", "sysctls"),
    "sync id that is none": (("ipvs", "sync"), {"id": 256}, "sync id"),
    "group that is none": (("ipvs", "sync"), {"id": 1, "group": "10.0.0.1"}, "multicast group"),
    "unknown policy": (("drift",), "ignore", "drift"),
    "unknown scheduler": (("services", 0, "scheduler"), "rr; rm", "scheduler"),
    "port as text": (("services", 0, "port"), "80", "port"),
    "weight too big": (("services", 0, "destinations", 0, "weight"), 70000, "weight"),
    "destination twice (I14)": (("services", 0, "destinations", 0, "address"), "172.28.128.20", "same destination"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_state_that_no_cluster_file_gives_is_refused(forgery: str, encoded: dict[str, Any]) -> None:
    """Whoever signs states cannot put a command, a path or a line of keepalived.conf into them."""
    path, value, named = FORGERIES[forgery]
    inner: Any = encoded
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    with pytest.raises(BadState, match=named):
        decode_state(encoded)


@pytest.mark.parametrize("twice", ["instances", "services"])
def test_the_same_thing_twice_is_refused(twice: str, encoded: dict[str, Any]) -> None:
    encoded[twice] *= 2
    with pytest.raises(BadState, match="twice"):
        decode_state(encoded)


def test_a_vip_on_an_unknown_real_server_is_refused(real_server_state: RealServerState) -> None:
    encoded = encode_state(real_server_state)
    encoded["answers"][0]["hosts"]["stranger"] = 80
    with pytest.raises(BadState, match="not among the hosts"):
        decode_state(encoded)


_BUILTINS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["role", "cluster", "hosts", "answers", "format"]), _BUILTINS) | _BUILTINS)
def test_anything_else_is_refused_by_its_own_error(builtins: object) -> None:
    with pytest.raises(BadState):
        decode_state(builtins)


def test_a_minion_needs_neither_pydantic_nor_yaml() -> None:
    """What reads cluster files is not on a minion's host."""
    code = (
        "import sys; import lbstates.resources, lbstates.plan, lbstates.desired;"
        "print([m for m in ('pydantic', 'yaml') if m in sys.modules])"
    )
    path = ":".join(sys.path)
    shown = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, check=True)
    assert shown.stdout.strip() == b"[]"
