"""keepalived.conf of one director -> the cluster file. Defaults and repairs are those of keepalived 2.2.7."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.states.importing.conftest import Import, said

from lbstates.importing import CannotImport, Imported

INSTANCE = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.0.0.100/24\n }\n"
SERVICE = "virtual_server 10.0.0.100 80 {\n protocol TCP\n lb_algo rr\n lb_kind DR\n"
REAL = " real_server 10.0.0.10 80 {\n weight 1\n }\n"
BOTH = f"{INSTANCE}}}\n{SERVICE}{REAL}}}\n"


def data(imported: Imported) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(imported.text)
    return loaded


def service(imported: Imported) -> dict[str, Any]:
    (one,) = data(imported)["services"]
    return dict(one)


def test_a_plain_director(keepalived: Import) -> None:
    """Names in the words of a cluster file; keepalived's VRRP version 2 is said, because ours is 3."""
    assert data(keepalived(BOTH)) == {
        "cluster": "imported",
        "directors": {"d1": "10.0.0.2"},
        "real_servers": {"r-10-0-0-10": "10.0.0.10"},
        "vips": {"vi-1": "10.0.0.100/24"},
        "instances": {"vi-1": {"virtual_router_id": 51}},
        "vrrp": {"interface": "eth0", "version": 2},
        "services": [
            {
                "vip": "vi-1",
                "port": 80,
                "protocol": "tcp",
                "scheduler": "rr",
                "forwarding": "direct",
                "real_servers": {"r-10-0-0-10": 1},
            }
        ],
    }


def test_an_unknown_keyword_is_a_warning_with_its_line(keepalived: Import) -> None:
    """Everywhere: on top, in each kind of block; a block of its own is left out whole."""
    text = (
        "nosuch 1\nglobal_defs {\n nosuch2\n}\n"
        + INSTANCE
        + " nosuch3 { a { b } }\n}\n"
        + SERVICE
        + " nosuch4\n real_server 10.0.0.10 80 {\n nosuch5\n }\n}\n"
    )

    assert said(keepalived(text), "unknown") == [
        "d1.conf:1: nosuch: there is no such keyword here",
        "d1.conf:3: nosuch2: there is no such keyword in global_defs",
        "d1.conf:11: nosuch3: there is no such keyword in a vrrp_instance",
        "d1.conf:17: nosuch4: there is no such keyword in a virtual_server",
        "d1.conf:19: nosuch5: there is no such keyword in a real_server",
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "\x00\x01", "a b c", "global_defs { }", "virtual_server {"])
def test_a_file_with_nothing_to_import_is_the_one_error(keepalived: Import, text: str) -> None:
    with pytest.raises(CannotImport, match="no VRRP instance and no virtual service"):
        keepalived(text)


# VRRP


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


# IPVS


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("persistence_timeout 300", {"persistence": 300}),
        ("persistence_timeout", {"persistence": 360}),
        (
            "persistence_timeout 300\npersistence_granularity 255.255.255.0",
            {"persistence": {"timeout": 300, "netmask": 24}},
        ),
        ("persistence_timeout 300\npersistence_granularity 255.255.255.255", {"persistence": 300}),
        ("persistence_timeout 300\npersistence_granularity 255.0.255.0", {"persistence": 300}),
        ("persistence_timeout 300\npersistence_engine sip", {"persistence": {"timeout": 300, "engine": "sip"}}),
        ("persistence_granularity 255.255.255.0", {}),
        ("lvs_sched sh\nsh-port\nsh-fallback", {"scheduler": "sh", "scheduler_flags": ["sh-fallback", "sh-port"]}),
        ("lb_algo nosuch", {"scheduler": "rr"}),
        ("protocol UDP\nops", {"protocol": "udp", "one_packet": True}),
        ("ops", {}),
        ("protocol sctp", {"protocol": "sctp"}),
        ("lvs_method TUN", {"forwarding": "tunnel"}),
        ("lvs_method TUN type gre", {"forwarding": "tunnel", "tunnel": {"type": "gre"}}),
        (
            "lvs_method TUN type gue port 6080 csum",
            {"forwarding": "tunnel", "tunnel": {"type": "gue", "port": 6080, "checksum": "full"}},
        ),
        ("lb_kind NAT", {"forwarding": "masquerade"}),
        ("lb_kind nat", {}),
    ],
)
def test_settings_of_services(keepalived: Import, lines: str, expected: dict[str, Any]) -> None:
    found = service(keepalived(BOTH.replace("lb_kind DR", f"lb_kind DR\n{lines}")))
    plain = service(keepalived(BOTH))

    assert found == plain | expected


def test_keepalived_s_own_defaults_are_taken_and_said(keepalived: Import) -> None:
    """UDP, wlc and NAT; weight 1, and the port of the service."""
    imported = keepalived(f"{INSTANCE}}}\nvirtual_server 10.0.0.100 53 {{\n real_server 10.0.0.10 {{ }}\n}}\n")

    assert service(imported) == {
        "vip": "vi-1",
        "port": 53,
        "protocol": "udp",
        "scheduler": "wlc",
        "forwarding": "masquerade",
        "real_servers": {"r-10-0-0-10": 1},
    }
    assert len(said(imported, "guessed")) == 2


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("weight 5", 5),
        ("weight 0", 0),
        ("weight -1", 1),
        ("weight 70000", 65535),
        ("uthreshold 100\nlthreshold 50", {"weight": 1, "upper_threshold": 100, "lower_threshold": 50}),
        ("lvs_method NAT", {"weight": 1, "forwarding": "masquerade", "port": 8080}),
    ],
)
def test_settings_of_real_servers(keepalived: Import, lines: str, expected: object) -> None:
    """Only masquerading leads to another port; keepalived and the kernel ignore it elsewhere."""
    other = " real_server 10.0.0.11 80 {\n }\n real_server 10.0.0.12 80 {\n }\n"
    text = f"{INSTANCE}}}\n{SERVICE} real_server 10.0.0.10 8080 {{\n{lines}\n }}\n{other}}}\n"

    found = service(keepalived(text))["real_servers"]

    assert found == {"r-10-0-0-10": expected, "r-10-0-0-11": 1, "r-10-0-0-12": 1}


def test_a_service_for_all_ports_is_persistent(keepalived: Import) -> None:
    """keepalived sets 360 s where nothing is said, because the kernel would refuse it."""
    found = service(keepalived(BOTH.replace("10.0.0.100 80 {", "10.0.0.100 {")))

    assert (found["port"], found["persistence"]) == (0, 360)


def test_a_service_by_firewall_mark(keepalived: Import) -> None:
    """The mark is made by somebody else; the protocol means nothing there."""
    imported = keepalived(BOTH.replace("10.0.0.100 80 {", "fwmark 7 {"))

    assert service(imported) == {
        "firewall_mark": 7,
        "scheduler": "rr",
        "forwarding": "direct",
        "real_servers": {"r-10-0-0-10": 1},
    }
    assert "a rule that is not lbmaster's" in imported.text


def test_a_mark_has_the_family_of_its_real_servers_or_the_one_that_is_said(keepalived: Import) -> None:
    marked = BOTH.replace("10.0.0.100 80 {", "fwmark 7 {")

    assert service(keepalived(marked.replace("10.0.0.10 80", "fd00::10")))["family"] == "ipv6"
    assert service(keepalived(marked.replace("lb_kind DR", "lb_kind TUN\nip_family inet6")))["family"] == "ipv6"


def test_a_group_makes_a_service_of_every_address_and_mark(keepalived: Import) -> None:
    """Addresses that no instance holds become VIPs, which is said; those of one group share an instance."""
    group = "virtual_server_group G {\n 10.0.0.100 80\n 10.0.0.110-112 81\n 10.0.0.120/31 82\n fwmark 3\n bad\n}\n"
    imported = keepalived(group + BOTH.replace("10.0.0.100 80 {", "group G {"))
    found = data(imported)

    assert [(one.get("vip"), one.get("port"), one.get("firewall_mark")) for one in found["services"]] == [
        ("vi-1", 80, None),
        ("vip-10-0-0-110", 81, None),
        ("vip-10-0-0-111", 81, None),
        ("vip-10-0-0-112", 81, None),
        ("vip-10-0-0-120", 82, None),
        ("vip-10-0-0-121", 82, None),
        (None, None, 3),
    ]
    assert found["vips"]["vip-10-0-0-110"] == "10.0.0.110/24"
    assert found["vips"]["vip-10-0-0-121"] == {"address": "10.0.0.121/24", "instance": "vip-10-0-0-110"}
    assert any("no VRRP instance holds 10.0.0.110, 10.0.0.111" in remark for remark in said(imported, "guessed"))


@pytest.mark.parametrize(
    ("old", "new", "fate"),
    [
        ("10.0.0.100 80 {", "10.0.0.100 http {", "wrong"),
        ("10.0.0.100 80 {", "www.example.com 80 {", "wrong"),
        ("10.0.0.100 80 {", "group NIX {", "wrong"),
        ("10.0.0.100 80 {", "fwmark 0 {", "wrong"),
        ("virtual_server 10.0.0.100 80 {", "virtual_server {", "wrong"),
        ("real_server 10.0.0.10 80", "real_server web 80", "wrong"),
        ("real_server 10.0.0.10 80", "real_server 10.0.0.10 8o", "wrong"),
        ("real_server 10.0.0.10 80", "real_server fd00::1 80", "wrong"),
        ("real_server 10.0.0.10 80", "real_server 127.0.0.1 80", "wrong"),
        ("real_server 10.0.0.10 80", "real_server 10.0.0.100 80", "wrong"),
        ("weight 1", "weight heavy", "dropped"),
        ("lb_algo rr", "lb_algo", "dropped"),
        ("lb_kind DR", "lb_kind TUN type vxlan", "dropped"),
        ("virtual_router_id 51", "virtual_router_id 256", "dropped"),
        ("virtual_router_id 51", "advert_int soon", "dropped"),
        ("interface eth0", "interface an-interface-with-a-long-name", "dropped"),
    ],
)
def test_bad_values_are_named_with_their_line(keepalived: Import, old: str, new: str, fate: str) -> None:
    """What keepalived passes over is a warning; what would make another cluster is an error."""
    text = BOTH.replace(old, new)
    line = text[: text.index(new)].count("\n") + 1

    assert str(line) in [remark.split(":")[1] for remark in said(keepalived(text), fate)]


def test_a_service_without_real_servers_is_none(keepalived: Import) -> None:
    """keepalived ignores it, too."""
    imported = keepalived(f"{BOTH}virtual_server 10.0.0.100 81 {{\n protocol TCP\n}}\n")

    assert len(data(imported)["services"]) == 1
    assert any("it has no real server" in remark for remark in said(imported, "dropped"))


TWICE = BOTH.replace("lb_kind DR", "lb_kind NAT").replace(REAL, REAL + REAL + REAL.replace(" 80", " 81"))


def test_a_host_may_have_several_ports_in_a_service(keepalived: Import) -> None:
    """The very same destination keepalived itself passes over."""
    imported = keepalived(TWICE)

    assert service(imported)["real_servers"] == {"r-10-0-0-10": {"weight": 1, "ports": [80, 81]}}
    assert not said(imported, "wrong")
    assert len(said(imported, "dropped")) == 1


def test_several_ports_of_a_host_with_different_weights_are_an_error(keepalived: Import) -> None:
    """They cannot be expressed; the file is written without the second one."""
    imported = keepalived(TWICE.replace(" 81 {\n weight 1", " 81 {\n weight 2"))

    assert [remark.split(": ")[2] for remark in said(imported, "wrong")] == [
        "10.0.0.10 is a real server of this service already, with port 80 and other settings; this one is left out"
    ]


def test_a_director_may_be_a_real_server(keepalived: Import) -> None:
    """It has one name then, and it is said."""
    imported = keepalived(BOTH.replace("10.0.0.10 80", "10.0.0.2 80"))

    assert data(imported)["real_servers"] == {"d1": "10.0.0.2"}
    assert any("10.0.0.2 is the director d1" in remark for remark in said(imported, "guessed"))


def test_health_checks_and_sorry_servers_are_kept_as_comments(keepalived: Import) -> None:
    """So that nobody has to write them again when they can be expressed."""
    check = "TCP_CHECK {\n connect_timeout 3\n }\n"
    text = BOTH.replace("weight 1\n", f"weight 1\n {check}").replace(
        "lb_kind DR", "lb_kind DR\n sorry_server 10.0.0.99 80\n delay_loop 6"
    )
    imported = keepalived(text)

    assert "# not imported: sorry_server 10.0.0.99 80" in imported.text
    assert "TCP_CHECK { connect_timeout 3 }" in imported.text


def test_names_of_real_servers_may_be_given(keepalived: Import) -> None:
    imported = keepalived(BOTH, names={"10.0.0.10": "web1"})

    assert data(imported)["real_servers"] == {"web1": "10.0.0.10"}


def test_the_same_remark_about_many_lines_is_said_once(keepalived: Import) -> None:
    """A file with a thousand health checks has a report that can be read."""
    many = "".join(REAL.replace("10.0.0.10 ", f"10.0.0.{n} ").replace("weight 1", "alpha") for n in range(10, 30))
    imported = keepalived(f"{INSTANCE}}}\n{SERVICE}{many}}}\n")

    (remark,) = said(imported, "dropped")
    assert remark.endswith("(also lines 16, 19, 22, 25, 28, 31, 34, 37 and 11 more)")


def test_one_tunnel_among_other_methods_keeps_its_kind(keepalived: Import) -> None:
    """The kind of tunnel is said for the service, also when most real servers have no tunnel."""
    tunnel = " real_server 10.0.0.11 80 {\n lvs_method TUN type gre\n }\n real_server 10.0.0.12 80 {\n }\n"
    found = service(keepalived(f"{INSTANCE}}}\n{SERVICE}{REAL}{tunnel}}}\n"))

    assert (found["forwarding"], found["tunnel"]) == ("direct", {"type": "gre"})
    assert found["real_servers"]["r-10-0-0-11"] == {"weight": 1, "forwarding": "tunnel"}
