"""desired: states travel unchanged, and what is not exactly one is refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.desired import DirectorState, RealServerState, RoleState, VrrpOptions, decode_state, encode_state, role_of
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


def test_a_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(VrrpOptions(1.0, "unicast", 2, auth_pass="secret12"))


FORGERIES = {
    # path, value, what the error names
    "unknown field": (("shell",), "reboot", "shell"),
    "unknown role": (("role",), "router", "router"),
    "unknown format": (("format",), 2, "format"),
    "unknown field deep inside": (("vrrp", "notify"), "/bin/sh", "notify"),
    "line in the cluster's name": (("cluster",), "a\nnotify_master /bin/sh", "cluster"),
    "trailing line feed": (("cluster",), "a\n", "cluster"),
    "line in a host's name": (("hosts", "a\nb"), "10.0.0.1", "hosts"),
    "line in a host's address": (("hosts", "netology3"), "10.0.0.1\n}", "not an IPv4 address"),
    "block in the password": (("vrrp", "auth_pass"), "x}\n", "auth_pass"),
    "path in the interface": (("vrrp", "interface"), "../../x", "interface"),
    "line in an instance's name": (("instances", 0, "name"), "a {", "name"),
    "VIP that is none": (("instances", 0, "vips"), ["10.0.0.1/24 dev eth0"], "prefix length"),
    "instance without VIP": (("instances", 0, "vips"), [], "no VIP"),
    "VRID 0": (("instances", 0, "virtual_router_id"), 0, "virtual_router_id"),
    "priority 255": (("instances", 0, "priorities", "netology3"), 255, "priorities"),
    "equal priorities (V6)": (("instances", 0, "priorities", "netology3"), 240, "same priority"),
    "priority missing": (("instances", 0, "priorities"), {"netology3": 250}, "every director a priority"),
    "IPv6": (("services", 0, "vip"), "::1", "not an IPv4 address"),
    "unknown forwarding": (("services", 0, "forwarding"), "tunnel", "forwarding"),
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
    encoded = encode_state(real_server_state) | {"vips": {"10.0.0.1": ["stranger"]}}
    with pytest.raises(BadState, match="not among the hosts"):
        decode_state(encoded)


_BUILTINS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["role", "cluster", "hosts", "vips", "format"]), _BUILTINS) | _BUILTINS)
def test_anything_else_is_refused_by_its_own_error(builtins: object) -> None:
    with pytest.raises(BadState):
        decode_state(builtins)


def test_a_minion_needs_neither_pydantic_nor_yaml() -> None:
    """What reads cluster files is not on a minion's host."""
    code = (
        "import sys; import lbstates.resources, lbstates.plan, lbstates.desired, lbstates.compile;"
        "print([m for m in ('pydantic', 'yaml') if m in sys.modules])"
    )
    path = ":".join(sys.path)
    shown = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, check=True)
    assert shown.stdout.strip() == b"[]"
