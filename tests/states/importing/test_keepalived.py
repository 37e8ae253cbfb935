"""keepalived.conf of one director -> the cluster file. Defaults and repairs are those of keepalived 2.2.7."""

from __future__ import annotations

from typing import Any

import pytest
from tests.states.importing.conftest import BOTH, INSTANCE, REAL, SERVICE, Import, data, said, service

from lbstates.importing import CannotImport


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


def test_names_of_real_servers_may_be_given(keepalived: Import) -> None:
    imported = keepalived(BOTH, names={"10.0.0.10": "web1"})

    assert data(imported)["real_servers"] == {"web1": "10.0.0.10"}


def test_the_same_remark_about_many_lines_is_said_once(keepalived: Import) -> None:
    """A file with a thousand health checks has a report that can be read."""
    many = "".join(
        REAL.replace("10.0.0.10 ", f"10.0.0.{n} ").replace("weight 1", "notify_up /x") for n in range(10, 30)
    )
    imported = keepalived(f"{INSTANCE}}}\n{SERVICE}{many}}}\n")

    (remark,) = said(imported, "dropped")
    assert remark.endswith("(also lines 16, 19, 22, 25, 28, 31, 34, 37 and 11 more)")


def test_one_tunnel_among_other_methods_keeps_its_kind(keepalived: Import) -> None:
    """The kind of tunnel is said for the service, also when most real servers have no tunnel."""
    tunnel = " real_server 10.0.0.11 80 {\n lvs_method TUN type gre\n }\n real_server 10.0.0.12 80 {\n }\n"
    found = service(keepalived(f"{INSTANCE}}}\n{SERVICE}{REAL}{tunnel}}}\n"))

    assert (found["forwarding"], found["tunnel"]) == ("direct", {"type": "gre"})
    assert found["real_servers"]["r-10-0-0-11"] == {"weight": 1, "forwarding": "tunnel"}
