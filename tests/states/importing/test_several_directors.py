"""Several directors' files -> one cluster, and what contradicts in them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.states.importing.conftest import Import, Shelf, said

from lbstates.importing import Imported, Order, import_cluster
from lbstates.importing.importer import Given

D1 = """\
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 100
    unicast_src_ip 10.0.0.2
    unicast_peer {
        10.0.0.3
    }
    virtual_ipaddress {
        10.0.0.100/24
    }
}
virtual_server 10.0.0.100 80 {
    protocol TCP
    lb_kind DR
    real_server 10.0.0.10 80 {
    }
}
"""
D2 = D1.replace("state MASTER", "state BACKUP").replace("priority 100", "priority 50")
D2 = D2.replace("10.0.0.2\n", "10.0.0.9\n").replace("10.0.0.3\n", "10.0.0.2\n").replace("10.0.0.9\n", "10.0.0.3\n")


def data(imported: Imported) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(imported.text)
    return loaded


def test_two_files_that_agree_make_one_cluster(keepalived: Import) -> None:
    """The addresses are those that adverts come from; home is where the priority was highest."""
    imported = keepalived({"d1": D1, "d2": D2}, addresses={})

    found = data(imported)
    assert found["directors"] == {"d1": "10.0.0.2", "d2": "10.0.0.3"}
    assert found["instances"] == {"vi-1": {"home": "d1", "virtual_router_id": 51}}
    assert found["vrrp"] == {"interface": "eth0", "version": 2, "mode": "unicast"}
    assert len(found["services"]) == 1
    assert [one for one in imported.remarks if one.severity != "info"] == []


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        (
            "virtual_router_id 51",
            "virtual_router_id 52",
            "d2.conf:1",
            "virtual_router_id is 52 here and 51 in d1.conf:1",
        ),
        ("interface eth0", "interface eth0\nadvert_int 2", "d2.conf:1", "advert_interval is 2 here and 1 in d1.conf:1"),
        ("interface eth0", "interface eth0\nversion 3", "d2.conf:1", "version is 3 here and 2 in d1.conf:1"),
        (
            "10.0.0.100/24",
            "10.0.0.100/24\n10.0.0.101/24",
            "d2.conf:1",
            "10.0.0.101 is in one of d1.conf:1 and d2.conf:1 only",
        ),
        ("vrrp_instance VI_1", "vrrp_instance V2", "d2.conf:1", "is called VI_1, and this one V2"),
        ("lb_kind DR", "lb_kind DR\nlb_algo rr", "d2.conf:14", "scheduler is rr here and wlc in d1.conf:14"),
        ("10.0.0.10 80 {", "10.0.0.10 80 {\nweight 2", "d2.conf:17", "10.0.0.10 are not those of d1.conf:17"),
        (
            "real_server 10.0.0.10",
            "real_server 10.0.0.11",
            "d2.conf:17",
            "10.0.0.11 is not in the same service of d1.conf:14",
        ),
        (
            "real_server 10.0.0.10",
            "real_server 10.0.0.11",
            "d2.conf:14",
            "10.0.0.10 of d1.conf:17 is not in the same service",
        ),
        ("0.100 80", "0.100 81", "d1.conf", "there is no tcp 10.0.0.100:81, which d2.conf:14 has"),
        ("0.100 80", "0.100 81", "d2.conf", "there is no tcp 10.0.0.100:80, which d1.conf:14 has"),
        ("VI_1 {", "V2 {\nvirtual_router_id 9\n", "d2.conf", "there is no instance VI_1, which d1.conf:1 has"),
    ],
)
def test_contradictions_are_said_with_both_places(
    keepalived: Import, old: str, new: str, place: str, what: str
) -> None:
    """The first file wins; every contradiction is a warning."""
    text = D2.replace(old, new)
    if "V2 {\nvirtual" in new:
        text = text.replace("    virtual_router_id 51\n", "").replace("10.0.0.100/24", "10.0.0.200/24")
    imported = keepalived({"d1": D1, "d2": text}, addresses={})

    assert [one for one in said(imported, "contradicted") if one.startswith(f"{place}:") and what in one]


def test_passwords_are_compared_and_not_shown(keepalived: Import) -> None:
    secret = "interface eth0\nauthentication {\nauth_type PASS\nauth_pass %s\n}"
    imported = keepalived(
        {
            name: text.replace("interface eth0", secret % word)
            for name, text, word in (("d1", D1, "abc"), ("d2", D2, "xyz"))
        },
        addresses={},
    )

    (remark,) = said(imported, "contradicted")
    assert "auth_pass is not that of d1.conf:1" in remark
    assert "xyz" not in remark


def test_interfaces_may_be_called_differently_on_each_director(keepalived: Import) -> None:
    """That is no contradiction: every director has its own then."""
    found = data(keepalived({"d1": D1, "d2": D2.replace("eth0", "eno1")}, addresses={}))

    assert found["directors"] == {
        "d1": {"address": "10.0.0.2", "interface": "eth0"},
        "d2": {"address": "10.0.0.3", "interface": "eno1"},
    }
    assert "interface" not in found["vrrp"]


def test_interfaces_that_differ_by_instance_and_director_are_a_contradiction(keepalived: Import) -> None:
    """No single interface of a director says it then."""
    second = D1.partition("virtual_server")[0].replace("VI_1", "VI_2").replace("51", "52").replace("0.100/", "0.101/")
    second = second.replace("eth0", "eth1")
    imported = keepalived({"d1": D1 + second, "d2": D2.replace("eth0", "eno1") + second}, addresses={})

    (remark,) = said(imported, "contradicted")
    assert "the directors use different interfaces (d1 eth0, d2 eno1)" in remark


def test_equal_priorities_leave_the_home_open(keepalived: Import) -> None:
    imported = keepalived({"d1": D1, "d2": D2.replace("priority 50", "priority 100")}, addresses={})

    assert "home" not in data(imported)["instances"]["vi-1"]
    assert any("its priority 100 is that of d1.conf:1" in remark for remark in said(imported, "guessed"))


def test_the_other_director_s_address_is_its_peer_s(keepalived: Import) -> None:
    """One peer that nobody else is, and one director without address."""
    without = D2.replace("    unicast_src_ip 10.0.0.3\n", "")

    found = data(keepalived({"d1": D1, "d2": without}, addresses={}))

    assert found["directors"] == {"d1": "10.0.0.2", "d2": "10.0.0.3"}


def test_a_peer_that_was_not_given_is_said(keepalived: Import) -> None:
    imported = keepalived({"d1": D1}, addresses={})

    assert [one.describe() for one in imported.remarks if one.keyword == "unicast_peer"] == [
        (
            "d1.conf:1: warning: unicast_peer: 10.0.0.3 is a director that is not among those given; "
            "import its file too (--director NAME=FILE), or give --address NAME=10.0.0.3"
        )
    ]


def test_a_director_without_address_is_an_error_and_a_placeholder(keepalived: Import) -> None:
    multicast = D1.replace("unicast_src_ip 10.0.0.2", "").replace("unicast_peer {\n        10.0.0.3\n    }", "")
    imported = keepalived({"d1": multicast}, addresses={})

    assert "# PLACEHOLDER: write the address of this director\n  d1: ADDRESS-OF-THIS-DIRECTOR" in imported.text
    assert [one.describe() for one in imported.remarks if one.fate == "wrong"] == [
        "d1.conf: error: directors: the address of d1 is written nowhere; give it with --address d1=ADDRESS"
    ]


def test_addresses_of_both_families_are_found(keepalived: Import) -> None:
    six = D1.replace("VI_1", "VI_6").replace("10.0.0.2\n", "fd00::2\n").replace("10.0.0.3\n", "fd00::3\n")
    six = six.replace("10.0.0.100/24", "fd00::100/64").partition("virtual_server")[0]

    found = data(keepalived({"d1": D1 + six}, addresses={}))

    assert found["directors"]["d1"] == {"address": "10.0.0.2", "address6": "fd00::2"}


def test_members_of_a_sync_group_have_one_home(keepalived: Import) -> None:
    """What kept them together was the group, whatever the priorities of the others said."""
    second = D1.partition("virtual_server")[0].replace("VI_1", "VI_2").replace("51", "52").replace("0.100/", "0.101/")
    group = "vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n"
    imported = keepalived(
        {"d1": D1 + second.replace("priority 100", "priority 10") + group, "d2": D2 + second + group}, addresses={}
    )

    assert {entry["home"] for entry in data(imported)["instances"].values()} == {"d1"}


def test_a_table_beside_the_configuration_shows_what_differs() -> None:
    """What somebody changed by hand, and what a health check took out."""
    table = "-A -t 10.0.0.100:80 -s rr\n-a -t 10.0.0.100:80 -r 10.0.0.10:80 -g -w 7\n"
    order = Order(keepalived=[Given("d1", "d1.conf", D1)], ipvsadm=[Given("d1", "d1.ipvs", table)])

    imported = import_cluster(order, Shelf())

    assert len(said(imported, "contradicted")) == 2
    assert data(imported)["services"][0]["scheduler"] == "wlc"
