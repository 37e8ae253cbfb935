"""Whatever somebody wrote: an import ends, and raises nothing but its own error."""

from __future__ import annotations

import contextlib

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.states.importing.conftest import Shelf

from lbstates.clusterfile import check
from lbstates.importing import CannotImport, Order, import_cluster
from lbstates.importing.importer import Given
from lbstates.importing.keepalived import _GLOBAL, _TOP
from lbstates.importing.keepalived_lvs import _REAL_SERVER, _SERVICE
from lbstates.importing.keepalived_vrrp import _TABLE
from lbstates.importing.yaml_text import write

KEYWORDS = sorted(
    {word for table in (_TOP, _GLOBAL, _TABLE, _SERVICE, _REAL_SERVER) for word in (*table.fields, *table.dropped)}
)
WORDS = (
    *(
        "10.0.0.1",
        "10.0.0.1-5",
        "10.0.0.0/30",
        "fd00::1",
        "::",
        "127.0.0.1",
        "255.255.255.0",
        "80",
        "0",
        "-1",
        "99999999999",
    ),
    *(
        "group",
        "fwmark",
        "G",
        "MASTER",
        "PASS",
        "TCP",
        "rr",
        "DR",
        "TUN",
        "type",
        "gue",
        "weight",
        "dev",
        "eth0",
        "via",
    ),
    *(
        '"',
        "'",
        "\\",
        "$A",
        "${A}",
        "$A=1",
        "@d1",
        "@^d1",
        "~SEQ(A,1,3)",
        "~LST(A,1)",
        "include",
        "*",
        "{",
        "}",
        "#",
        "",
    ),
)
LINES = st.lists(st.sampled_from([*KEYWORDS, *WORDS, "{", "}", "\n", "\n"]), max_size=60).map(" ".join)
IPVSADM = st.lists(
    st.sampled_from(
        [
            "-A",
            "-a",
            "-t",
            "-u",
            "-f",
            "-6",
            "-s",
            "-p",
            "-M",
            "-r",
            "-g",
            "-i",
            "-m",
            "-w",
            "-x",
            "-b",
            "-o",
            "\n",
            *WORDS,
            *("10.0.0.1:80", "[fd00::1]:80", "--tun-type", "--tun-port", "--pe"),
        ]
    ),
    max_size=40,
).map(" ".join)
LDIRECTORD = st.lists(
    st.sampled_from(
        [
            "virtual=",
            "\treal=",
            "\tscheduler=",
            "\tpersistent=",
            "\tnetmask=",
            "\tprotocol=",
            "\n",
            "->",
            "gate",
            "masq",
            *WORDS,
            "virtual=10.0.0.1:80",
            "\treal=10.0.0.2:80 gate",
            "virtual=1",
        ]
    ),
    max_size=40,
).map("".join)
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def run(order: Order) -> None:
    """Import, and see that what comes out is YAML that can be checked."""
    with contextlib.suppress(CannotImport):
        imported = import_cluster(order, Shelf({"a.conf": "x", "*": None}))
        assert isinstance(yaml.safe_load(imported.text), dict)
        check(imported.text)
        assert all(one.describe() for one in imported.remarks)


@FEW
@given(st.one_of(st.text(max_size=300), LINES))
def test_any_text_as_keepalived_conf(text: str) -> None:
    run(Order(keepalived=[Given("d1", "d1.conf", text)]))


@FEW
@given(LINES, LINES)
def test_any_two_files_with_something_in_them(first: str, second: str) -> None:
    """A sound instance and service before them, so that all of the way is gone."""
    sound = (
        "vrrp_instance V { virtual_router_id 5\n virtual_ipaddress { 10.0.0.1\n } }\n"
        "virtual_server 10.0.0.1 80 { protocol TCP\n real_server 10.0.0.2 80 { weight 1 } }\n"
    )
    inside = sound.replace("virtual_router_id 5", f"virtual_router_id 5\n{second}").replace("weight 1", second)
    given = [Given("d1", "d1.conf", sound + first), Given("d2", "d2.conf", inside)]
    run(Order(keepalived=given))


@FEW
@given(st.one_of(st.text(max_size=300), IPVSADM))
def test_any_text_as_a_table(text: str) -> None:
    run(Order(ipvsadm=[Given("d1", "t", f"-A -t 10.0.0.1:80 -s rr\n{text}")]))


@FEW
@given(st.one_of(st.text(max_size=300), LDIRECTORD))
def test_any_text_as_ldirectord_cf(text: str) -> None:
    run(Order(ldirectord=[Given(None, "l.cf", f"virtual=10.0.0.1:80\n\treal=10.0.0.2:80 gate\n{text}")]))


VALUES = st.recursive(
    st.one_of(
        st.text(max_size=20), st.integers(), st.booleans(), st.none(), st.sampled_from(["yes", "1", "0x1", "1e3", "~"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=12,
)


@FEW
@given(st.dictionaries(st.text(max_size=8), VALUES, min_size=1, max_size=4), st.text(max_size=200))
def test_what_is_written_is_read_back_equal(values: dict[str, object], comment: str) -> None:
    """By a YAML reader that is not ours; comments change nothing."""
    comments = {(): [comment], (next(iter(values)),): [comment]}

    assert yaml.safe_load(write(values, comments)) == values
