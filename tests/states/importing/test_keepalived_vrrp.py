"""The VRRP of a keepalived.conf: what becomes of instances, their addresses, and groups of them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.states.importing.conftest import BOTH, INSTANCE, REAL, SERVICE, Import, data, said


@pytest.mark.parametrize(
    ("lines", "vrrp"),
    [
        ("version 3\nadvert_int 0.2", {"advert_interval": 0.2}),
        ("version 3\nadvert_int 0.126", {"advert_interval": 0.13}),
        ("advert_int 2", {"version": 2, "advert_interval": 2}),
        ("advert_int 1.5", {"version": 2, "advert_interval": 2}),
        ("nopreempt", {"version": 2, "preempt": False}),
        ("nopreempt\nstate MASTER", {"version": 2}),
        ("preempt_delay 300", {"version": 2, "preempt_delay": 300}),
        ("preempt_delay 300\nstate MASTER", {"version": 2}),
        ("preempt_delay 5\nnopreempt", {"version": 2, "preempt": False}),
        ("preempt_delay 4.12", {"version": 2, "preempt_delay": 5}),
        ("track_interface {\neth1\neth2 weight 0\n}", {"version": 2, "track_interfaces": ["eth1", "eth2"]}),
        ("authentication {\nauth_type PASS\nauth_pass 1111\n}", {"version": 2, "auth_pass": "1111"}),
        ("authentication {\nauth_type PASS\nauth_pass 123456789\n}", {"version": 2, "auth_pass": "12345678"}),
        ("version 3\nauthentication {\nauth_type PASS\nauth_pass 1111\n}", {}),
        ("authentication {\nauth_type AH\nauth_pass 1111\n}", {"version": 2}),
        (
            "garp_master_delay 10\ngarp_lower_prio_repeat 3",
            {"version": 2, "garp": {"delay": 10, "lower_priority_repeat": 3}},
        ),
        # keepalived announces once at least, and ignores a delay that it cannot count.
        ("garp_master_repeat 0\ngarp_lower_prio_delay 5000", {"version": 2, "garp": {"repeat": 1}}),
        ("unicast_src_ip 10.0.0.2\nunicast_peer {\n10.0.0.3\n}", {"version": 2, "mode": "unicast"}),
    ],
)
def test_vrrp_settings(keepalived: Import, lines: str, vrrp: dict[str, Any]) -> None:
    """What all instances have is said once, under `vrrp`."""
    imported = keepalived(BOTH.replace("interface eth0", f"interface eth0\n{lines}"))

    assert data(imported)["vrrp"] == {"interface": "eth0", **vrrp}


def test_global_definitions_are_defaults_of_instances(keepalived: Import) -> None:
    """And the timeouts and sync daemons of IPVS are there, too; the sync id is that of the instance."""
    text = (
        "global_defs {\n vrrp_version 3\n vrrp_garp_master_repeat 2\n lvs_timeouts tcp 60 udp 30\n"
        " lvs_sync_daemon eth1 inst VI_1 maxlen 1400 port 8849 ttl 2 group 224.0.0.82\n router_id x\n}\n"
    )
    found = data(keepalived(text + BOTH))

    assert found["vrrp"] == {"interface": "eth0", "garp": {"repeat": 2}}
    assert found["ipvs"] == {
        "timeouts": {"tcp": 60, "udp": 30},
        "sync": {"interface": "eth1", "id": 51, "maximum_length": 1400, "port": 8849, "ttl": 2, "group": "224.0.0.82"},
    }


def test_a_minimum_of_gratuitous_arps(keepalived: Import) -> None:
    found = data(keepalived("global_defs { vrrp_min_garp }\n" + BOTH))

    assert found["vrrp"]["garp"] == {"repeat": 1, "delay": 0}


def test_what_instances_have_in_common_is_said_once_and_the_rest_of_each(keepalived: Import) -> None:
    """The most frequent value counts as common; a password only when all have it."""
    second = (
        "vrrp_instance VI_2 {\n interface eth1\n virtual_router_id 52\n version 3\n advert_int 0.5\n nopreempt\n"
        " virtual_ipaddress {\n 10.0.1.100/24\n }\n}\n"
    )
    first = INSTANCE + " authentication {\n auth_pass x1\n }\n}\n"
    third = first.replace("VI_1", "VI_3").replace("51", "53").replace("10.0.0.100", "10.0.0.101")
    found = data(keepalived(first + second + third + SERVICE + REAL + "}\n"))

    assert found["vrrp"] == {"interface": "eth0", "version": 2}
    assert found["instances"] == {
        "vi-1": {"virtual_router_id": 51, "auth_pass": "x1"},
        "vi-2": {
            "virtual_router_id": 52,
            "interface": "eth1",
            "advert_interval": 0.5,
            "version": 3,
            "preempt": False,
        },
        "vi-3": {"virtual_router_id": 53, "auth_pass": "x1"},
    }


def test_every_address_of_an_instance_is_a_vip_that_moves_with_it(keepalived: Import) -> None:
    """Excluded ones too; options that the kernel has defaults for are passed over."""
    text = BOTH.replace(
        "10.0.0.100/24",
        "10.0.0.100/24 dev eth0 label eth0:1 brd + scope global\n10.0.0.101/24 dev eth1",
    ).replace("virtual_router_id", "virtual_ipaddress_excluded { 10.0.0.102/24 }\n virtual_router_id")

    assert data(keepalived(text))["vips"] == {
        "vi-1": "10.0.0.100/24",
        "vi-1-2": {"address": "10.0.0.101/24", "instance": "vi-1", "interface": "eth1"},
        "vi-1-3": {"address": "10.0.0.102/24", "instance": "vi-1"},
    }


@pytest.mark.parametrize(
    ("address", "given", "expected"),
    [
        ("10.0.0.100", ["10.0.0.2/24"], "10.0.0.100/24"),
        ("10.9.0.100", ["10.0.0.2/24"], "10.9.0.100/32"),
        ("10.0.0.100", ["10.0.0.2"], "10.0.0.100/32"),
        ("fd00::100", ["10.0.0.2", "fd00::2/64"], "fd00::100/64"),
        ("fd00::100", ["10.0.0.2"], "fd00::100/128"),
    ],
)
def test_a_missing_prefix_length_is_guessed_from_a_network_that_is_known(
    keepalived: Import, address: str, given: list[str], expected: str
) -> None:
    """Else it is what keepalived takes; both are said."""
    imported = keepalived(BOTH.replace("10.0.0.100/24", address), addresses={"d1": given})

    assert data(imported)["vips"]["vi-1"] == expected
    assert any("it has no prefix length" in remark for remark in said(imported, "guessed"))
    assert "# guessed: it has no prefix length" in imported.text


def test_static_addresses_tell_the_network_of_a_vip(keepalived: Import) -> None:
    """They are not imported themselves."""
    text = "static_ipaddress {\n 10.9.0.7/22 dev eth0\n}\n" + BOTH.replace("10.0.0.100/24", "10.9.0.100")
    imported = keepalived(text)

    assert data(imported)["vips"]["vi-1"] == "10.9.0.100/22"
    assert any("static_ipaddress" in remark for remark in said(imported, "dropped"))


@pytest.mark.parametrize(
    "address", ["foo", "10.0.0.1/33", "10.0.0.300", "10.0.0.1 dev", "10.0.0.1 10.0.0.2", "::1/129"]
)
def test_an_address_that_is_none_is_an_error_with_its_line(keepalived: Import, address: str) -> None:
    imported = keepalived(BOTH.replace("10.0.0.100/24", f"10.0.0.100/24\n{address}"))

    assert [remark.split(":")[1] for remark in said(imported, "wrong")] == ["6"]
    assert list(data(imported)["vips"]) == ["vi-1"]


def test_ipv6_instances_have_version_3(keepalived: Import) -> None:
    """Whatever is written: keepalived does the same."""
    imported = keepalived(BOTH.replace("10.0.0.100/24", "fd00::100/64").replace("interface", "version 2\ninterface"))

    assert data(imported)["vips"] == {"vi-1": "fd00::100/64", "vip-10-0-0-100": "10.0.0.100/24"}
    assert "version" not in data(imported)["vrrp"]


def test_routes_and_rules_go_with_the_vip(keepalived: Import) -> None:
    """What has more than a cluster file can say is left out, said, and kept as a comment."""
    block = (
        "virtual_routes {\n 10.1.0.0/16 via 10.0.0.1 dev eth0 table 7 no_track\n default gw 10.0.0.1\n"
        " blackhole 10.2.0.0/16\n src 10.0.0.100 10.3.0.0/16 via 10.0.0.9 metric 50\n}\n"
        "virtual_rules {\n from 10.0.0.100 to 10.4.0.0/16 lookup 7 preference 9\n from 10.0.0.100 iif eth0 table 8\n}\n"
    )
    imported = keepalived(BOTH.replace("virtual_router_id", f"{block}virtual_router_id"))

    assert data(imported)["instances"]["vi-1"] == {
        "virtual_router_id": 51,
        "routes": [
            {"to": "10.1.0.0/16", "via": "10.0.0.1", "interface": "eth0", "table": 7},
            {"to": "0.0.0.0/0", "via": "10.0.0.1"},
            {"to": "10.3.0.0/16", "via": "10.0.0.9", "source": "10.0.0.100", "metric": 50},
        ],
        "rules": [{"source": "10.0.0.100/32", "to": "10.4.0.0/16", "table": 7, "priority": 9}],
    }
    assert len(said(imported, "dropped")) == 2
    assert "# not imported: virtual_routes { blackhole 10.2.0.0/16 }" in imported.text


def test_scripts_weights_and_virtual_macs_are_kept_as_comments(keepalived: Import) -> None:
    """What nobody can express now can be read again later."""
    lines = 'notify_master "/x y"\ntrack_script {\n chk weight 2\n}\ntrack_interface {\n eth2 weight 10\n}\nuse_vmac\n'
    text = 'vrrp_script chk {\n script "/a b"\n}\n' + BOTH.replace("virtual_router_id", f"{lines}virtual_router_id")
    imported = keepalived(text)

    for kept in (
        'd1.conf: vrrp_script chk { script "/a b" }',
        'not imported: notify_master "/x y"',
        "not imported: track_script { chk weight 2 }",
        "not imported: track_interface { eth2 weight 10 }",
        "not imported: use_vmac",
    ):
        assert kept in imported.text
    assert len(said(imported, "dropped")) == 5


def test_sync_groups(keepalived: Import) -> None:
    text = BOTH + INSTANCE.replace("VI_1", "VI_2").replace("51", "52").replace(".100/", ".101/") + "}\n"
    found = data(keepalived(text + "vrrp_sync_group G_1 {\n group {\n VI_1\n VI_2\n VI_9\n }\n}\n"))

    assert {name: entry["sync_group"] for name, entry in found["instances"].items()} == {"vi-1": "g-1", "vi-2": "g-1"}


def test_addresses_of_both_families_become_two_instances_in_one_sync_group(keepalived: Import) -> None:
    """keepalived moves the excluded ones along; a cluster file has one family in an instance."""
    both = BOTH.replace("virtual_router_id", "virtual_ipaddress_excluded { fd00::100/64 }\n virtual_router_id")
    other = INSTANCE.replace("VI_1", "VI_2").replace("51", "52").replace(".100/", ".101/") + "}\n"
    group = "vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n}\n"
    alone, grouped = keepalived(both), keepalived(both + other + group)

    assert data(alone)["vips"] == {"vi-1": "10.0.0.100/24", "vi-1-6": "fd00::100/64"}
    assert data(alone)["instances"] == {
        "vi-1": {"virtual_router_id": 51, "sync_group": "vi-1"},
        "vi-1-6": {"version": 3, "sync_group": "vi-1"},
    }
    assert {entry["sync_group"] for entry in data(grouped)["instances"].values()} == {"g"}
    assert len(data(grouped)["instances"]) == 3


def test_an_ipv6_vip_of_a_service_alone_has_version_3_and_no_password(keepalived: Import) -> None:
    """Whatever the instances of the file have in common."""
    secret = BOTH.replace("interface eth0", "interface eth0\nauthentication {\nauth_pass x\n}")
    six = SERVICE.replace("10.0.0.100", "fd00::100") + REAL.replace("10.0.0.10", "fd00::10") + "}\n"
    found = data(keepalived(secret + six))

    assert found["vrrp"] == {"interface": "eth0", "version": 2}
    assert found["instances"] == {
        "vi-1": {"virtual_router_id": 51, "auth_pass": "x"},
        "vip-fd00--100": {"version": 3},
    }


def test_what_a_cluster_has_once_is_taken_from_most_instances_and_said(keepalived: Import) -> None:
    """The mode and the announcements."""
    second = INSTANCE.replace("VI_1", "VI_2").replace("51", "52").replace(".100/", ".101/")
    second += " garp_master_delay 9\n unicast_peer { 10.0.0.9\n }\n}\n"
    imported = keepalived("global_defs {\n vrrp_garp_master_delay 7\n}\n" + BOTH + second)

    assert data(imported)["vrrp"]["mode"] == "unicast"
    assert data(imported)["vrrp"]["garp"] == {"delay": 7}
    assert any("VI_1 used multicast" in remark for remark in said(imported, "guessed"))
    assert any("VI_2 had other settings" in remark for remark in said(imported, "guessed"))
