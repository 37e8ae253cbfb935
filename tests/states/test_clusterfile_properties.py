"""The cluster file, for text and YAML that nobody thought of: never anything but findings."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from lbstates.clusterfile import Cluster, ClusterFileError, check, parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, decode_state, encode_state
from lbstates.resources import HostFacts, resources_for
from lbstates.words import SCHEDULER_FLAGS

_FIELDS = ["cluster", "directors", "real_servers", "vips", "services", "vrrp", "vip", "port", "auth_pass", "mode", "<<"]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["a", "web", "10.0.0.1", "10.0.0.9/24", "rr", "direct", "tcp", "::1"]),
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_FIELDS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=30,
)
_CLUSTERS = st.fixed_dictionaries(
    {
        "cluster": st.sampled_from(["c", "C", 5]),
        "directors": st.dictionaries(
            st.sampled_from(["d1", "d2", "r1"]), st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.300"])
        ),
        "real_servers": st.dictionaries(
            st.sampled_from(["r1", "r2"]), st.sampled_from(["10.0.0.3", "10.0.0.4", "10.0.1.4"])
        ),
        "vips": st.dictionaries(
            st.sampled_from(["v1", "v2"]), st.sampled_from(["10.0.0.9/24", "10.0.0.8/24", "10.0.1.9/24"])
        ),
        "services": st.lists(
            st.fixed_dictionaries(
                {"vip": st.sampled_from(["v1", "v2"]), "port": st.sampled_from([80, 81, 0])},
                optional={
                    "real_servers": st.dictionaries(st.sampled_from(["r1", "r2"]), st.integers(-1, 2)),
                    "scheduler": st.sampled_from(["rr", "xx"]),
                },
            ),
            max_size=3,
        ),
    },
    optional={
        "vrrp": st.fixed_dictionaries(
            {}, optional={"auth_pass": st.sampled_from(["ok", "much too long"]), "mode": st.just("unicast")}
        )
    },
)


_SERVICE = st.fixed_dictionaries(
    {},
    optional={
        "vip": st.sampled_from(["v4", "v6"]),
        "port": st.sampled_from([0, 80]),
        "ports": st.lists(st.sampled_from([80, 81, "80-82"]), min_size=1, max_size=2),
        "protocol": st.sampled_from(["tcp", "udp"]),
        "firewall_mark": st.sampled_from([7, "auto"]),
        "family": st.sampled_from(["ipv4", "ipv6"]),
        "scheduler": st.sampled_from(["rr", "sh", "mh"]),
        "scheduler_flags": st.lists(st.sampled_from(SCHEDULER_FLAGS), max_size=2),
        "one_packet": st.booleans(),
        "persistence": st.sampled_from(
            [60, {"timeout": 60, "netmask": 0}, {"timeout": 60, "netmask": 64, "engine": "sip"}]
        ),
        "forwarding": st.sampled_from(["direct", "tunnel", "masquerade"]),
        "tunnel": st.sampled_from([{"type": "gre"}, {"type": "gue", "port": 6080, "checksum": "remote"}]),
        "real_servers": st.dictionaries(
            st.sampled_from(["r1", "r2"]), st.sampled_from([1, {"port": 8080}, {"ports": [8080, 8081]}]), min_size=1
        ),
    },
)


def _check(text: str) -> Cluster | None:
    """Whatever the text, there is a cluster or there are errors, each with a line of the text."""
    checked = check(text)
    lines = max(1, len(text.splitlines()))
    for finding in checked.findings:
        assert 1 <= finding.line <= lines
        assert finding.wrong
        assert finding.right
    assert (checked.cluster is None) == any(finding.severity == "error" for finding in checked.findings)
    try:
        return parse(text, "x")
    except ClusterFileError as error:
        assert error.findings == checked.findings
        return None


@given(st.text())
def test_any_text_gives_findings(text: str) -> None:
    _check(text)


@given(st.text(alphabet="ab:-?[]{}&*!|>'\"%@#,\n\t 01."))
def test_any_text_of_yaml_characters_gives_findings(text: str) -> None:
    _check(text)


@given(_TREES)
def test_any_yaml_gives_findings(tree: object) -> None:
    _check(yaml.safe_dump(tree))


@given(_CLUSTERS)
def test_what_is_accepted_can_be_compiled_sent_and_derived(tree: object) -> None:
    """No file that passes the check fails later."""
    cluster = _check(yaml.safe_dump(tree))
    if cluster is None:
        return
    for state in compile_cluster(cluster).values():
        assert decode_state(encode_state(state)) == state
        for host, entry in state.hosts.items():
            interfaces = dict.fromkeys(entry.addresses, "eth0")
            resources_for(state, host, HostFacts(interfaces, "2.2.7", "/run/fifo", lock="/run/lock"))


@given(st.lists(_SERVICE, min_size=1, max_size=3))
def test_services_that_are_accepted_can_be_compiled_sent_and_derived(services: list[object]) -> None:
    """However their options come together; and compiled again after themselves they are the same."""
    hosts = {name: {"address": f"10.0.0.{i}", "address6": f"fd00::{i}"} for i, name in enumerate(("d1", "r1", "r2"), 1)}
    tree = {
        "cluster": "c",
        "directors": {"d1": hosts.pop("d1")},
        "real_servers": hosts,
        "vips": {"v4": "10.0.0.9/24", "v6": "fd00::9/64"},
        "services": services,
    }
    cluster = _check(yaml.safe_dump(tree))
    if cluster is None:
        return
    states = compile_cluster(cluster)
    director = states["director"]
    assert isinstance(director, DirectorState)
    assert compile_cluster(cluster, director) == states
    for state in states.values():
        assert decode_state(encode_state(state)) == state
        for host, entry in state.hosts.items():
            interfaces = dict.fromkeys(entry.addresses, "eth0")
            resources_for(state, host, HostFacts(interfaces, "2.2.7", "/run/fifo", lock="/run/lock"))


@given(st.integers(0, 20), st.text(alphabet="ab:[]{}&*-\n\t '\"0", max_size=6), st.integers(0, 40))
def test_a_file_that_is_broken_anywhere_gives_findings(
    netology_text: str, line: int, insertion: str, column: int
) -> None:
    lines = netology_text.splitlines(keepends=True)
    broken = lines[line % len(lines)]
    lines[line % len(lines)] = broken[:column] + insertion + broken[column:]
    _check("".join(lines))
