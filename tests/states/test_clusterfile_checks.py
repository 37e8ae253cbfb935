"""The cluster file: fields that are right alone, and wrong together."""

from __future__ import annotations

import pytest
from tests.states.findings import doubts, one

TWO_NETWORKS = """\
cluster: shop
directors: {d1: 10.0.0.2, d2: 10.0.0.3}
real_servers: {r1: 192.168.1.11}
vips: {web: 10.0.0.100/24, inside: 192.168.1.1/24}
instances: {inside: {interface: eth1}}
services: [{vip: web, port: 80, forwarding: masquerade}]
"""


def test_vips_may_be_used_by_a_mark_of_somebody_else() -> None:
    """Which of them is not said anywhere."""
    assert doubts(TWO_NETWORKS.replace("vip: web, port: 80, forwarding: masquerade", "firewall_mark: 7")) == ()


def test_a_vip_that_is_the_gateway_of_masqueraded_real_servers_needs_no_service() -> None:
    """It is on the other interface of the directors, in a network of which they name no address."""
    assert doubts(TWO_NETWORKS) == ()
    assert one(TWO_NETWORKS.replace("masquerade", "tunnel")).wrong == "no service uses inside"


def test_an_advertisement_has_room_for_so_many_ipv6_vips() -> None:
    """What is too much keepalived would take out, with a message that fails its own test of the file."""
    vips = "".join(f'  v{i}: {{address: "2001:db8::{i:x}/64", instance: big}}\n' for i in range(256, 256 + 81))
    text = (
        'cluster: shop\ndirectors: {d1: "2001:db8::1", d2: "2001:db8::2"}\n'
        f'real_servers: {{r1: "2001:db8::3"}}\nvips:\n{vips}services: [{{firewall_mark: 7, family: ipv6}}]\n'
    )
    finding = one(text)
    assert (finding.line, finding.field) == (85, "vips.v336")
    assert "81 IPv6 VIPs of the instance big do not fit" in finding.wrong
    assert doubts(text.replace(vips.splitlines(keepends=True)[-1], "")) == ()


def test_a_number_may_be_used_twice_on_different_interfaces_of_every_director() -> None:
    """The advertisements never meet; on a director whose own interface is the other one they would."""
    text = TWO_NETWORKS.replace(
        "{inside: {interface: eth1}}",
        "{web: {virtual_router_id: 51}, inside: {interface: eth1, virtual_router_id: 51}}",
    )
    assert doubts(text) == ()
    finding = one(text.replace("d2: 10.0.0.3", "d2: {address: 10.0.0.3, interface: eth1}"))
    assert finding.field == "instances.inside.virtual_router_id"
    assert finding.wrong == "51 is the number of web, too"


# What is appended to the five-VM file (its last service is services[0]), field, in what is wrong, in what is right.
SERVICE = "  - {vip: web, port: 81"
RULES = {
    "scheduler flag of another (sh)": (f"{SERVICE}, scheduler_flags: [sh-port]}}", "scheduler_flags", "of the scheduler sh", "sh"),
    "unknown flag": (f"{SERVICE}, scheduler_flags: [sh-prot]}}", "scheduler_flags[0]", "not known", "sh-port"),
    "single packets of tcp": (f"{SERVICE}, one_packet: true}}", "one_packet", "only UDP", "udp"),
    "netmask too long": (f"{SERVICE}, persistence: {{timeout: 60, netmask: 64}}}}", "persistence.netmask", "too long", "32"),
    "sip over tcp": (f"{SERVICE}, persistence: {{timeout: 60, engine: sip}}}}", "persistence.engine", "UDP only", "udp"),
    "persistence of no time": (f"{SERVICE}, persistence: 0}}", "persistence", "0 is less", "1"),
    "gue without port": (f"{SERVICE}, forwarding: tunnel, tunnel: {{type: gue}}}}", "tunnel.port", "gue has", "6080"),
    "ipip with port": (f"{SERVICE}, forwarding: tunnel, tunnel: {{port: 1}}}}", "tunnel.port", "no other type", "gue"),
    "checksum of ipip": (
        f"{SERVICE}, forwarding: tunnel, tunnel: {{checksum: full}}}}", "tunnel.checksum", "no ipip packets with checksum", "gue",
    ),
    "thresholds the wrong way round": (
        f"{SERVICE}, real_servers: {{netology1: {{upper_threshold: 5, lower_threshold: 6}}}}}}",
        "real_servers.netology1.lower_threshold", "above the upper", "smaller",
    ),
    "several ports of a real server that packets keep": (
        f"{SERVICE}, real_servers: {{netology1: {{ports: [81, 8081]}}}}}}",
        "real_servers.netology1.ports", "answers on the port of the service", "masquerade",
    ),
    "the same destination twice (I14)": (
        f"{SERVICE}, forwarding: masquerade, real_servers: {{netology1: {{ports: [8081, 8081]}}}}}}",
        "real_servers.netology1.ports", "stands here twice", "each port once",
    ),
    "both port and ports of a real server": (
        f"{SERVICE}, forwarding: masquerade, real_servers: {{netology1: {{port: 81, ports: [8081]}}}}}}",
        "real_servers.netology1.ports", "both given", "one of the two",
    ),
    "both port and ports": (f"{SERVICE}, ports: [82]}}", "", "both given", "one of the two"),
    "range backwards": ("  - {vip: web, ports: [90-80]}", "ports[0]", "no range", "10-20"),
    "range beyond the last port": ("  - {vip: web, ports: [80, 65000-70000]}", "ports[1]", "no range", "65535"),
    "no ports": ("  - {vip: web, ports: []}", "ports", "nothing stands here", "at least one"),
    "far too many ports": ("  - {vip: web, ports: 1000-9000}", "ports", "8001 ports", "firewall_mark: auto"),
    "a mark of our choice without packets": (
        "  - {vip: web, firewall_mark: auto}", "", "neither port nor ports", "one of the two",
    ),
    "a mark of our choice that nobody sets": ("  - {firewall_mark: auto}", "firewall_mark", "nobody would set", "VIP"),
    "a port of a foreign mark": ("  - {firewall_mark: 7, port: 80}", "port", "somebody else", "leave `port` out"),
    "a mark of 0": ("  - {vip: web, port: 81, firewall_mark: 0}", "firewall_mark", "0 is no firewall mark", "auto"),
    "a family that the VIP says": (f"{SERVICE}, family: ipv6}}", "family", "says the family", "leave"),
    "the same mark twice": (
        "  - {vip: web, ports: [81, 82], firewall_mark: 7}\n  - {firewall_mark: 7}", "", "is fwmark 7 of IPv4", "another",
    ),
    "the same mark twice, once with its family": (
        "  - {firewall_mark: 7}\n  - {firewall_mark: 7, family: ipv4}", "", "is fwmark 7 of IPv4", "another",
    ),
    "a port with two marks": (
        "  - {vip: web, ports: [81-85], firewall_mark: auto}\n  - {vip: web, ports: [85, 86], firewall_mark: auto}",
        "", "the packets to tcp web:85 get the mark of services[1]", "leave that port out",
    ),
    "a port whose packets have the mark of another": (
        "  - {vip: web, ports: [81-85], firewall_mark: auto}\n  - {vip: web, port: 82}",
        "", "the packets to tcp web:82 get the mark of services[1]", "leave that port out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_a_service_that_cannot_be_is_found(rule: str, netology_text: str) -> None:
    added, field, wrong, right = RULES[rule]
    finding = one(f"{netology_text}{added}\n")
    place = added.count("\n") + 1
    assert finding.field == f"services[{place}]{field and '.'}{field}"
    assert wrong in finding.wrong
    assert right in finding.right


SECTIONS = {
    "unknown home": ("instances: {web: {home: netology9}}", "instances.web.home", "no director netology9", "netology"),
    "instance of nobody": ("instances: {wbe: {home: netology3}}", "instances.wbe", "no VIP belongs", "web?"),
    "reserved number (V3)": (
        "instances: {web: {virtual_router_id: 51}}\nvrrp: {reserved_virtual_router_ids: [50-52]}",
        "instances.web.virtual_router_id", "is reserved", "another",
    ),
    "no number left": (
        "vrrp: {reserved_virtual_router_ids: [1-255]}", "vrrp.reserved_virtual_router_ids", "1 VRRP instances have 0", "fewer",
    ),
    "a route from the other family": (
        "instances: {web: {routes: [{to: default, via: 172.28.128.1, source: 'fd00::1'}]}}",
        "instances.web.routes[0]", "not of the family", "in that family",
    ),
    "parts of hundredths": ("vrrp: {advert_interval: 0.126}", "vrrp.advert_interval", "0.126 s is no whole", "write 0.13"),
    "a loopback": ("vrrp: {interface: lo}", "vrrp.interface", "reach each other by lo", "between them"),
    "a version that there is not": ("vrrp: {version: 4}", "vrrp.version", "4 is not possible", "write 2 or 3"),
    "a version as text": ("vrrp: {version: '3'}", "vrrp.version", "'3' is not possible", "write 2 or 3"),
    "yes for true": ("vrrp: {preempt: yes}", "vrrp.preempt", "true or false is needed here, not the text 'yes'", "write true"),
    "no announcement of a new master": ("vrrp: {garp: {repeat: 0}}", "vrrp.garp.repeat", "0 is less than", "at least 1"),
    "no announcement at a refresh": ("vrrp: {garp: {refresh_repeat: 0}}", "vrrp.garp.refresh_repeat", "0 is less", "1"),
    "announcements too late": ("vrrp: {garp: {delay: 4295}}", "vrrp.garp.delay", "4295 is more", "at most 4294"),
    "a number with many digits": (
        "instances: {web: {rules: [{table: 40000000000, to: default}]}}", "instances.web.rules[0].table", "more", "most 2147483647",
    ),
    "number out of range": ("instances: {web: {virtual_router_id: 256}}", "instances.web.virtual_router_id", "more", "255"),
    "password of version 3": ("vrrp: {auth_pass: x, version: 3}", "vrrp.auth_pass", "has no password", "leave one"),
    "half seconds of version 2": ("vrrp: {advert_interval: 1.5, version: 2}", "vrrp.advert_interval", "whole", "version 3"),
    "delay of nothing (V7)": ("vrrp: {preempt: false, preempt_delay: 5}", "vrrp.preempt_delay", "nothing to delay", "out"),
    "vmac (V10)": ("vrrp: {use_vmac: true}", "vrrp.use_vmac", "no such field", "possible"),
    "strict (V11)": ("vrrp: {strict: true}", "vrrp.strict", "no such field", "possible"),
    "state (S5)": ("instances: {web: {state: MASTER}}", "instances.web.state", "no such field", "possible"),
    "priority (V6)": ("instances: {web: {priority: 100}}", "instances.web.priority", "no such field", "possible"),
    "a route to nowhere": ("instances: {web: {routes: [{to: 10.0.0.0/8}]}}", "instances.web.routes[0]", "nowhere", "via"),
    "a route with host bits": (
        "instances: {web: {routes: [{to: 10.0.0.1/8, via: 172.28.128.1}]}}", "instances.web.routes[0].to", "not a network", "10.0.0.0/8",
    ),
    "a route of another family": (
        'instances: {web: {routes: [{to: "2001:db8::/32", interface: eth0}]}}', "instances.web.routes[0]", "family", "all its",
    ),
    "a rule for everything": ("instances: {web: {rules: [{table: 5}]}}", "instances.web.rules[0]", "every packet", "source"),
    "unknown sysctl name": ("ipvs: {sysctls: {'../x': 1}}", "ipvs.sysctls.../x", "no name of a setting", "net/ipv4/vs"),
    "sysctl of words": ("ipvs: {sysctls: {sync_threshold: a b}}", "ipvs.sysctls.sync_threshold", "no value", "numbers"),
    "backup_only as a sysctl": ("ipvs: {sysctls: {backup_only: 1}}", "ipvs.sysctls.backup_only", "field of its own", "ipvs"),
    "backup_only without sync (R9)": ("ipvs: {backup_only: true}", "ipvs.backup_only", "synchronisation", "sync: {}"),
    "sync id out of range": ("ipvs: {sync: {id: 256}}", "ipvs.sync.id", "more", "255"),
    "sync group that is no multicast": ("ipvs: {sync: {group: 10.0.0.1}}", "ipvs.sync.group", "multicast", "224.0.0.81"),
    "timeout of no time": ("ipvs: {timeouts: {udp: 0}}", "ipvs.timeouts.udp", "0 is less", "1"),
    "unknown drift policy": ("drift: ignore", "drift", "not known", "heal"),
}  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_cannot_be_is_found(section: str, netology_text: str) -> None:
    added, field, wrong, right = SECTIONS[section]
    finding = one(f"{netology_text}{added}\n")
    assert finding.field == field
    assert wrong in finding.wrong
    assert right in finding.right
