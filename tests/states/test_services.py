"""Options of a virtual service from the cluster file to the words of ipvsadm: what the kernel holds together, we do."""

from __future__ import annotations

import msgspec
import pytest

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, RealServerState
from lbstates.ipvsadm_save import save
from lbstates.resources import HostFacts, resources_for

CLUSTER = """\
cluster: shop
directors: {d1: {address: 10.0.0.2, address6: "2001:db8::2"}}
real_servers: {r1: {address: 10.0.0.11, address6: "2001:db8::11"}}
vips: {web: 10.0.0.100/24, web6: "2001:db8::100/64"}
services:
"""


def _state(*services: str) -> DirectorState:
    text = CLUSTER + "".join(f"  - {service}\n" for service in services)
    state = compile_cluster(parse(text, "x"))["director"]
    assert isinstance(state, DirectorState)
    return state


def _table(*services: str) -> list[str]:
    """The services, as `ipvsadm -Sn` prints them."""
    facts = HostFacts({"10.0.0.2": "eth0"}, "2.2.7", "/run/fifo")
    return [line for line in save(resources_for(_state(*services), "d1", facts)) if line.startswith("-A")]


def test_packets_are_scheduled_singly_and_stay_on_one_real_server() -> None:
    """The kernel keeps the template of a client for one-packet services, too; for SIP this is how it is meant."""
    sip = "{vip: web, port: 5060, protocol: udp, one_packet: true, persistence: {timeout: 60, netmask: 0, engine: sip}}"
    assert _table(sip) == ["-A -u 10.0.0.100:5060 -s wlc -p 60 -M 0.0.0.0 --pe sip -o"]


def test_a_real_server_with_several_ports_is_as_many_destinations() -> None:
    """Of the same weight; and it has to listen on each of them."""
    text = "{vip: web, port: 80, forwarding: masquerade, real_servers: {r1: {weight: 2, ports: [8080, 8081]}}}"
    facts = HostFacts({"10.0.0.2": "eth0"}, "2.2.7", "/run/fifo")
    assert save(resources_for(_state(text), "d1", facts)) == [
        "-A -t 10.0.0.100:80 -s wlc",
        "-a -t 10.0.0.100:80 -r 10.0.0.11:8080 -m -w 2",
        "-a -t 10.0.0.100:80 -r 10.0.0.11:8081 -m -w 2",
    ]
    answers = compile_cluster(parse(f"{CLUSTER}  - {text}\n", "x"))["realserver"]
    assert isinstance(answers, RealServerState)
    assert [answer.hosts for answer in answers.answers] == [{"r1": 8080}, {"r1": 8081}]


def test_flags_by_number_become_what_the_scheduler_calls_them() -> None:
    """As the kernel says them, so that what is written and what is read are the same (ipvsadm never shows flag-3 of sh)."""
    assert _table(
        "{vip: web, port: 80, scheduler: sh, scheduler_flags: [flag-1, sh-fallback, flag-3]}",
        "{vip: web, port: 81, scheduler: mh, scheduler_flags: [flag-2]}",
        "{vip: web, port: 82, scheduler: rr, scheduler_flags: [flag-2]}",
    ) == [
        "-A -t 10.0.0.100:80 -s sh -b sh-fallback",
        "-A -t 10.0.0.100:81 -s mh -b mh-port",
        "-A -t 10.0.0.100:82 -s rr -b flag-2",
    ]


def test_a_state_with_flags_of_another_scheduler_is_refused() -> None:
    service = _state("{vip: web, port: 80, scheduler: sh, scheduler_flags: [sh-port]}").services[0]
    with pytest.raises(ValueError, match="flags of the scheduler rr"):
        msgspec.structs.replace(service, scheduler="rr")


def test_packets_that_somebody_else_marks_may_have_a_vip_that_real_servers_get() -> None:
    """Nothing is marked on the directors; with direct routing the VIP has to be on the real servers."""
    text = "{vip: web6, firewall_mark: 7}"
    (service,) = _state(text).services
    assert (service.vip, service.protocol, service.marked_ports, service.mark_family) == ("", None, (), "ipv6")
    assert _table(text) == ["-A -f 7 -6 -s wlc"]
    state = compile_cluster(parse(f"{CLUSTER}  - {text}\n", "x"))["realserver"]
    found = resources_for(state, "r1", HostFacts({"10.0.0.11": "eth0"}, None, "/run/fifo"))
    assert [it.identity for it in found] == ["lo 2001:db8::100/128"]


def test_one_mark_of_both_families_makes_two_services() -> None:
    services = ("{vip: web, port: 80, firewall_mark: 7}", "{vip: web6, port: 80, firewall_mark: 7}")
    assert _table(*services) == ["-A -f 7 -s wlc", "-A -f 7 -6 -s wlc"]
