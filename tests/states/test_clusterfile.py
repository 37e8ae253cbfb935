"""The cluster file: each mistake is found, in its line, with what would be right."""

from __future__ import annotations

import json

import pytest
from tests.states.findings import doubts, one

from lbstates.clusterfile import ClusterFileError, check, parse, schema
from lbstates.clusterfile.reader import MAX_CHARACTERS


def test_the_five_vm_file_is_right_and_short(netology_text: str) -> None:
    """About 20 lines, and nothing to say about them."""
    assert doubts(netology_text) == ()
    assert len(netology_text.splitlines()) <= 20


def test_what_is_left_out_has_a_default(netology_text: str) -> None:
    text = netology_text.partition("    protocol")[0]
    service = parse(text, "x").services[0]
    assert (service.protocol, service.scheduler, service.forwarding, service.real_servers) == (
        "tcp",
        "wlc",
        "direct",
        {},
    )


MISTAKES = {
    # what is replaced: (by what, line, field, in what is wrong, in what is right)
    "broken YAML": ("directors:", "directors: [", 4, "", "flow sequence that begins in line 2", "brackets"),
    "tab": ("  netology3:", "\tnetology3:", 3, "", "broken YAML", "spaces"),
    "unknown field": ("cluster: netology", "cluster: netology\nclutser: x", 2, "clutser", "no such field", "cluster?"),
    "unknown field of a service": (
        "    port: 80",
        "    port: 80\n    prot: tcp",
        13,
        "services[0].prot",
        "no such",
        "port?",
    ),
    "port of a real server (R6)": (
        "{netology1: 1,",
        "{netology1: {port: 8080},",
        16,
        "services[0].real_servers.netology1.port",
        "answers on the port of the service",
        "masquerade",
    ),
    "missing field": (
        "  - vip: web\n    port",
        "  - port",
        11,
        "services[0].vip",
        "a VIP is missing",
        "name one",
    ),
    "duplicate key": ("vips:", "  netology2: 172.28.128.21\nvips:", 8, "real_servers.netology2", "line 7", "one of"),
    "VIP outside the network": ("200/24", "200/28", 9, "vips.web", "outside the network of the directors", "prefix"),
    "VIP in another network": ("128.200", "129.200", 9, "vips.web", "outside the network of the directors", "in their"),
    "VIP is the broadcast address": ("128.200/24", "128.255/24", 9, "vips.web", "no host's address in", "between"),
    "VIP without prefix": ("200/24", "200", 9, "vips.web", "no prefix length", "172.28.128.200/24"),
    "VIP that is no address": ("128.200/24", "128.300/24", 9, "vips.web", "not an address", "172.28.128.200/24"),
    "director elsewhere": ("128.40", "129.40", 4, "directors.netology4", "outside the network", "every VIP"),
    "real server elsewhere (R7)": ("128.20\n", "129.20\n", 7, "real_servers.netology2", "outside the", "same network"),
    "two hosts, one address": ("128.20\n", "128.30\n", 7, "real_servers.netology2", "of netology3, too", "of its own"),
    "VIP is a host's address": ("128.200", "128.10", 9, "vips.web", "address of netology1, too", "of its own"),
    "host address with prefix": (
        "128.20\n",
        "128.20/24\n",
        7,
        "real_servers.netology2",
        "prefix",
        "write 172.28.128.20",
    ),
    "loopback as host": ("172.28.128.20\n", "127.0.0.1\n", 7, "real_servers.netology2", "not an address that", "like"),
    "host of another family": (
        "172.28.128.20\n",
        "2001:db8::1\n",
        11,
        "services[0].vip",
        "netology2 has no IPv4",
        "tunnel",
    ),
    "IPv6 in capitals": ("172.28.128.20\n", "2001:DB8::1\n", 7, "real_servers.netology2", "usual way", "2001:db8::1"),
    "unknown host in a service": (
        "netology2: 1}",
        "netolgy2: 1}",
        16,
        "services[0].real_servers.netolgy2",
        "no real server netolgy2",
        "did you mean netology2?",
    ),
    "director in a service": (
        "netology2: 1}",
        "netology3: 1}",
        16,
        "services[0].real_servers.netology3",
        "director",
        "n",
    ),
    "unknown VIP": ("- vip: web", "- vip: wbe", 11, "services[0].vip", "no VIP wbe", "did you mean web?"),
    "host in both roles": (
        "  netology2: 172.28.128.20",
        "  netology2: 172.28.128.20\n  netology3: 172.28.128.21",
        8,
        "real_servers.netology3",
        "a director too",
        "backup_only",
    ),
    "auth_pass too long (S2)": (
        "vips:",
        "vrrp: {auth_pass: netology_secret}\nvips:",
        8,
        "vrrp.auth_pass",
        "15 characters",
        "at most 8",
    ),
    "auth_pass with a quote": (
        "vips:",
        "vrrp: {auth_pass: 'a\"b'}\nvips:",
        8,
        "vrrp.auth_pass",
        "cannot hold",
        "letters",
    ),
    "auth_pass as a number": ("vips:", "vrrp: {auth_pass: 1234}\nvips:", 8, "vrrp.auth_pass", "not a number", "quotes"),
    "two services on one VIP:port": (
        "    port: 80",
        "    port: 80\n  - vip: web\n    port: 80",
        13,
        "services[1]",
        "services[0] is tcp web:80, too",
        "another port",
    ),
    "port 0": ("port: 80", "port: 0", 12, "services[0].port", "with persistence only", "persistence"),
    "port below zero": ("port: 80", "port: -1", 12, "services[0].port", "-1 is less", "at least 0"),
    "port 65536": ("port: 80", "port: 65536", 12, "services[0].port", "more than possible", "at most 65535"),
    "port with a leading zero": ("port: 80", "port: 080", 12, "services[0].port", "whole number", "write 80"),
    "port as a word": ("port: 80", "port: http", 12, "services[0].port", "the text 'http'", "whole number"),
    "port as yes": ("port: 80", "port: true", 12, "services[0].port", "true or false", "whole number"),
    "port far too big": ("port: 80", f"port: {'9' * 5000}", 12, "services[0].port", "whole number", "whole number"),
    "unknown scheduler": ("scheduler: rr", "scheduler: rrr", 14, "services[0].scheduler", "not known", "rr?"),
    "unknown protocol": ("protocol: tcp", "protocol: tpc", 13, "services[0].protocol", "not known", "tcp?"),
    "unknown forwarding": ("forwarding: direct", "forwarding: dr", 15, "services[0].forwarding", "not known", "direct"),
    "details of no tunnel": (
        "forwarding: direct",
        "forwarding: direct\n    tunnel: {type: gre}",
        16,
        "services[0].tunnel",
        "nothing is tunnelled",
        "forwarding: tunnel",
    ),
    "weight too big": ("netology2: 1}", "netology2: 65536}", 16, "services[0].real_servers.netology2", "more", "65535"),
    "weight below zero": ("netology2: 1}", "netology2: -1}", 16, "services[0].real_servers.netology2", "less", "0"),
    "service without real servers": (
        "{netology1: 1, netology2: 1}",
        "{}",
        16,
        "services[0].real_servers",
        "nothing stands here",
        "at least one",
    ),
    "real servers left empty": (
        "{netology1: 1, netology2: 1}",
        "",
        16,
        "services[0].real_servers",
        "not nothing",
        "mapping",
    ),
    "bad cluster name": ("cluster: netology", "cluster: 'a\"b'", 1, "cluster", "is not a name", "lower-case"),
    "name with a line feed": ("cluster: netology", 'cluster: "a\\n"', 1, "cluster", "is not a name", "lower-case"),
    "bad host name": ("  netology4:", "  Netology4:", 4, "directors.Netology4", "is not a name", "lower-case"),
    "cluster name as a number": ("cluster: netology", "cluster: 5", 1, "cluster", "the number 5", "quotes"),
    "bad interface": ("vips:", "vrrp: {interface: 'a b'}\nvips:", 8, "vrrp.interface", "not an interface", "eth0"),
    "bad advert interval": ("vips:", "vrrp: {advert_interval: 0}\nvips:", 8, "vrrp.advert_interval", "less", "0.01"),
    "list for a mapping": ("vips:\n  web: 172.28.128.200/24", "vips: [web]", 8, "vips", "not a list", "mapping"),
    "an alias": ("cluster: netology", "cluster: &a netology", 1, "cluster", "anchors", "write the value out"),
    "a tag": ("port: 80", "port: !!int '80'", 12, "services[0].port", "tags", "leave the tag out"),
    "a tag on a mapping": ("directors:", "directors: !!omap", 2, "directors", "tags", "leave the tag out"),
    "second document": ("directors:", "---\ndirectors:", 2, "", "second YAML document", "one file, one cluster"),
    "control character": ("cluster: netology", "cluster: netology\n\x00", 2, "", "U+0000", "UTF-8"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.pitfall("S2")
@pytest.mark.pitfall("R6")
@pytest.mark.pitfall("R7")
@pytest.mark.pitfall("I14")
def test_a_mistake_is_found_where_it_is(mistake: str, netology_text: str) -> None:
    """One finding, with line, field, what is wrong and what would be right."""
    old, new, line, field, wrong, right = MISTAKES[mistake]
    assert netology_text.count(old) >= 1
    finding = one(netology_text.replace(old, new, 1))
    assert (finding.line, finding.field, finding.severity) == (line, field, "error")
    assert wrong in finding.wrong
    assert right in finding.right


WARNINGS = {
    "one director": ("  netology4: 172.28.128.40\n", "", 2, "directors", "nobody can take its VIPs over"),
    "a password": ("vips:", "vrrp: {auth_pass: secret12}\nvips:", 8, "vrrp.auth_pass", "clear text"),
    "unused VIP": ("services:", "  b: 172.28.128.201/24\nservices:", 10, "vips.b", "no service uses b"),
    "unused real server": (", netology2: 1}", "}", 7, "real_servers.netology2", "no service uses netology2"),
    "all weights 0": (
        "{netology1: 1, netology2: 1}",
        "{netology1: 0, netology2: 0}",
        16,
        "services[0].real_servers",
        "nobody takes connections",
    ),
}


@pytest.mark.parametrize("doubt", WARNINGS)
@pytest.mark.pitfall("V8")
def test_a_doubt_is_a_warning_and_the_file_is_used(doubt: str, netology_text: str) -> None:
    old, new, line, field, wrong = WARNINGS[doubt]
    text = netology_text.replace(old, new, 1)
    finding = one(text)
    assert (finding.line, finding.field, finding.severity) == (line, field, "warning")
    assert wrong in finding.wrong
    assert parse(text, "x").cluster == "netology"


def test_a_fraction_of_a_second_needs_vrrp_3(netology_text: str) -> None:
    """Version 2, which a password asks for, knows whole seconds only."""
    text = netology_text.replace("vips:", "vrrp: {auth_pass: secret12, advert_interval: 0.5}\nvips:")
    assert [f.field for f in check(text).findings if f.severity == "error"] == ["vrrp.advert_interval"]


def test_a_host_prefix_says_nothing_about_the_network(netology_text: str) -> None:
    assert doubts(netology_text.replace("172.28.128.200/24", "10.0.0.1/32")) == ()


def test_more_vips_than_vrids_are_too_many(netology_text: str) -> None:
    vips = "".join(f"  v{i}: 10.0.{i // 250}.{i % 250 + 1}/16\n" for i in range(256))
    text = netology_text.replace("172.28.128.", "10.0.250.").replace("/24\n", "/16\n" + vips)
    finding = one(text)
    assert (finding.line, finding.field) == (8, "vips")
    assert "at most 255" in finding.right


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("- 1", "not a list"),
        ("netology", "not the text 'netology'"),
        ("[" * 5000, "nested too deeply"),
        ("a: " * 5000, "broken YAML"),
        ("? [a]\n: b", "a key is needed"),
        ("x" * (MAX_CHARACTERS + 1), "1000001 characters"),
        ("\ud800", "U+D800"),
    ],
)
def test_what_is_no_cluster_file_at_all_is_said(text: str, wrong: str) -> None:
    assert wrong in one(text).wrong


def test_several_mistakes_are_found_at_once_in_the_order_of_lines(netology_text: str) -> None:
    """Mistakes in single fields do not hide those that concern several."""
    text = (
        netology_text.replace("netology3: 172.28.128.30", "netology3: 172.28.128.300")
        .replace("netology2: 172.28.128.20\n", "netology2: 172.28.128.40\n")
        .replace("rr\n", "rrr\n")
        .replace("services:\n", "services:\n  - {vip: wbe, port: 81}\n")
    )
    with pytest.raises(ClusterFileError) as raised:
        parse(text, "netology.yaml")
    assert [(f.line, f.field) for f in raised.value.findings] == [
        (3, "directors.netology3"),
        (7, "real_servers.netology2"),
        (11, "services[0].vip"),
        (15, "services[1].scheduler"),
    ]
    assert str(raised.value).splitlines()[2] == (
        "netology.yaml:11: error: services[0].vip: there is no VIP wbe; did you mean web?"
    )


def test_a_password_is_never_repeated_in_a_finding(netology_text: str) -> None:
    """Findings end up in logs of CI."""
    for password in ("netology_secret", '"a b"', "a#b"):
        found = check(netology_text.replace("vips:", f"vrrp: {{auth_pass: {password}}}\nvips:")).findings
        assert found
        assert all(password.strip('"') not in finding.describe("x") for finding in found)


@pytest.mark.parametrize(
    ("written", "value"),
    [("on", "on"), ("no", "no"), ("0o17", "0o17"), ("1:30", "1:30"), ("1_000", "1_000"), ("2024-01-01", "2024-01-01")],
)
def test_words_that_yaml_takes_for_something_else_are_texts(written: str, value: str, netology_text: str) -> None:
    assert f"text {value!r}" in one(netology_text.replace("port: 80", f"port: {written}")).wrong


def test_the_schema_describes_every_field() -> None:
    """For editors: descriptions, patterns and no unknown fields; it is JSON."""
    described = json.loads(json.dumps(schema()))
    assert described["additionalProperties"] is False
    assert described["required"] == ["cluster", "directors"]
    sections = [described, *described["$defs"].values()]
    for section in [form for it in sections for form in it.get("anyOf", [it]) if "properties" in form]:
        assert section["description"]
        assert section["additionalProperties"] is False
        for name, field in section["properties"].items():
            assert field.get("description"), name
    assert described["$defs"]["ServiceEntry"]["properties"]["scheduler"]["enum"][0] == "rr"


V6 = """
cluster: six
directors: {d1: {address: 10.0.0.1, address6: "2001:db8::1"}, d2: "2001:db8::2"}
real_servers: {r1: {address: 10.0.0.3, address6: "2001:db8::3"}}
vips: {web: "2001:db8::100/64"}
services: [{vip: web, port: 80}]
"""


def test_a_short_entry_is_its_long_one() -> None:
    short, long = parse(V6, "x"), parse(V6.replace('d2: "2001:db8::2"', 'd2: {address: "2001:db8::2"}'), "x")
    assert short == long


def test_one_entry_without_the_family_of_the_vip_is_named() -> None:
    finding = one(V6.replace(', address6: "2001:db8::3"', ""))
    assert finding.field == "services[0].vip"
    assert "r1 has no IPv6 address" in finding.wrong
