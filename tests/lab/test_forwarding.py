"""What a service can be, on real kernels: every way of forwarding, protocol, mark and family, asked by a client.

One cluster file holds most of them, a service per port; what changes the network around it is pushed by itself.
Each test looks at ipvsadm's own view of both directors, and at who answered 50 questions.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.lab.bench import D1, D2, FAR, GATEWAY, PORT, QUESTIONS, R1, R2, VIP, VIP6, Bench

RIP1, RIP2 = "172.28.128.10", "172.28.128.20"
RIP61, RIP62 = "fd00:28::10", "fd00:28::20"
RR = {"scheduler": "rr"}
# The guests' kernel has nftables for bridges only, so there is no limit to the clients' segments here: that is shown with
# real packets in tests/netns.
TUNNEL = RR | {"forwarding": "tunnel"}
SERVICES: dict[str, dict[str, Any]] = {
    "direct": RR | {"port": 7000},
    "ipip": TUNNEL | {"port": 7001},
    "gre": TUNNEL | {"port": 7002, "tunnel": {"type": "gre"}},
    "gue": TUNNEL | {"protocol": "udp", "port": 7003, "tunnel": {"type": "gue", "port": 6080, "checksum": "full"}},
    "udp": RR | {"port": 7004, "protocol": "udp"},
    "one packet": RR | {"port": 7005, "protocol": "udp", "one_packet": True},
    "sctp": RR | {"port": 7006, "protocol": "sctp"},
    "thresholds": RR
    | {"port": 7007, "real_servers": {R1: 0, R2: {"weight": 2, "upper_threshold": 100, "lower_threshold": 50}}},
    "sh": {"port": 7008, "scheduler": "sh", "scheduler_flags": ["sh-fallback", "sh-port"]},
    "mh": {
        "port": 7009,
        "scheduler": "mh",
        "scheduler_flags": ["mh-fallback"],
        "persistence": {"timeout": 60, "netmask": 24},
    },
}
"""The services of one VIP in one cluster file, by what is tried with them."""
# For want of nftables somebody else makes the marks here.
MARKS: list[dict[str, Any]] = [
    RR | {"firewall_mark": 7, "family": "ipv4", "persistence": 300},
    RR | {"firewall_mark": 8, "family": "ipv6", "persistence": 300},
]
MARKED = range(7010, 7013)
"""The ports of both VIPs that get a mark."""


def lines_of(head: str, *tails: str) -> set[str]:
    """The lines of one service and its destinations."""
    return {f"-A {head}", *(f"-a {' '.join(head.split()[:2])} {tail}" for tail in tails)}


TABLE = {
    "direct": lines_of(f"-t {VIP}:7000 -s rr", f"-r {RIP1}:7000 -g -w 1", f"-r {RIP2}:7000 -g -w 1"),
    "ipip": lines_of(
        f"-t {VIP}:7001 -s rr", f"-r {RIP1}:7001 -i -w 1 --tun-type ipip", f"-r {RIP2}:7001 -i -w 1 --tun-type ipip"
    ),
    "gre": lines_of(
        f"-t {VIP}:7002 -s rr",
        f"-r {RIP1}:7002 -i -w 1 --tun-type gre --tun-nocsum",
        f"-r {RIP2}:7002 -i -w 1 --tun-type gre --tun-nocsum",
    ),
    "gue": lines_of(
        f"-u {VIP}:7003 -s rr",
        f"-r {RIP1}:7003 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
        f"-r {RIP2}:7003 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
    ),
    "udp": lines_of(f"-u {VIP}:7004 -s rr", f"-r {RIP1}:7004 -g -w 1", f"-r {RIP2}:7004 -g -w 1"),
    "one packet": lines_of(f"-u {VIP}:7005 -s rr -o", f"-r {RIP1}:7005 -g -w 1", f"-r {RIP2}:7005 -g -w 1"),
    "sctp": lines_of(f"--sctp-service {VIP}:7006 -s rr", f"-r {RIP1}:7006 -g -w 1", f"-r {RIP2}:7006 -g -w 1"),
    "thresholds": lines_of(f"-t {VIP}:7007 -s rr", f"-r {RIP1}:7007 -g -w 0", f"-r {RIP2}:7007 -g -w 2"),
    "sh": lines_of(f"-t {VIP}:7008 -s sh -b sh-fallback,sh-port", f"-r {RIP1}:7008 -g -w 1", f"-r {RIP2}:7008 -g -w 1"),
    "mh": lines_of(
        f"-t {VIP}:7009 -s mh -p 60 -M 255.255.255.0 -b mh-fallback",
        f"-r {RIP1}:7009 -g -w 1",
        f"-r {RIP2}:7009 -g -w 1",
    ),
    "mark 7": lines_of("-f 7 -s rr -p 300", f"-r {RIP1}:0 -g -w 1", f"-r {RIP2}:0 -g -w 1"),
}
"""What `ipvsadm -Sn` says of them."""


@pytest.fixture(scope="module")
def pushed(bench: Bench) -> Bench:
    """All of `SERVICES` and `MARKS` in one cluster file, one service of an IPv6 VIP, and somebody's marks."""
    marking = ["modprobe -a sch_ingress cls_flower act_skbedit", "tc qdisc replace dev eth0 ingress"]
    marking.append("tc filter delete dev eth0 ingress")
    marking += [
        f"tc filter add dev eth0 ingress protocol {family} flower dst_ip {vip} ip_proto tcp dst_port {port} "
        f"action skbedit mark {mark}"
        for family, vip, mark in (("ip", VIP, 7), ("ipv6", VIP6, 8))
        for port in MARKED
    ]
    for host in (D1, D2):
        bench.hosts.out(host, "set -e; " + "; ".join(marking))
    services = [{"vip": "web"} | service for service in SERVICES.values()]
    services += [{"vip": "web6"} | SERVICES["direct"], *MARKS]
    vips = {"web": f"{VIP}/24", "web6": f"{VIP6}/64"}
    bench.push(bench.file(services, vips=vips, instances={"web": {"home": D1}, "web6": {"home": D2}}))
    return bench


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("director", [D1, D2])
def test_both_directors_have_each_service_as_ipvsadm_would_write_it(pushed: Bench, director: str, name: str) -> None:
    """The standby's table is the active one's."""
    assert TABLE[name] <= set(pushed.table(director))


@pytest.mark.parametrize("name", ["direct", "ipip", "gre", "gue", "udp", "sctp"])
def test_each_way_of_forwarding_and_protocol_reaches_both_real_servers(pushed: Bench, name: str) -> None:
    """By its MAC address, and through a tunnel of each type; TCP, UDP and SCTP."""
    service = SERVICES[name]
    pushed.shared(VIP, service["port"], service.get("protocol", "tcp"))


def test_datagrams_of_one_socket_are_shared_only_with_one_packet(pushed: Bench) -> None:
    """Without it, a socket keeps its real server until the UDP timeout."""
    pushed.shared(VIP, SERVICES["one packet"]["port"], "udp", how="repeat")
    kept = pushed.ask(VIP, SERVICES["udp"]["port"], "udp", how="repeat")
    assert list(kept.answered.values()) == [QUESTIONS]


def test_weight_0_takes_no_new_connection_and_thresholds_are_set(pushed: Bench) -> None:
    """The other real server answers all; ipvsadm shows its thresholds."""
    seen = pushed.ask(VIP, SERVICES["thresholds"]["port"])
    assert (seen.answered, seen.failed) == ({R2: QUESTIONS}, {})
    shown = pushed.hosts.out(D1, f"ipvsadm -Ln --thresholds -t {VIP}:7007")
    assert re.search(rf"{RIP2}:7007 +100 +50 ", shown)


def test_a_client_stays_on_its_real_server_over_all_ports_of_a_mark(pushed: Bench) -> None:
    """One service over three ports with common persistence; another client gets the other real server."""
    ports = ",".join(map(str, MARKED))
    first = pushed.ask(VIP, ports, source=f"{FAR}.50")
    second = pushed.ask(VIP, ports, source=f"{FAR}.51")
    assert [*first.answered.values(), *second.answered.values()] == [QUESTIONS, QUESTIONS]
    assert first.answered != second.answered
    assert (first.failed, second.failed) == ({}, {})


def test_a_service_by_hash_keeps_a_client(pushed: Bench) -> None:
    """mh with persistence: always the same real server."""
    seen = pushed.ask(VIP, SERVICES["mh"]["port"])
    assert (list(seen.answered.values()), seen.failed) == ([QUESTIONS], {})


def test_an_ipv6_vip_serves_by_direct_routing_and_by_mark(pushed: Bench) -> None:
    """On an election of its own, on the other director."""
    assert pushed.holds(D2, "web6")
    pushed.shared(VIP6, 7000)
    kept = pushed.ask(VIP6, ",".join(map(str, MARKED)))
    assert (list(kept.answered.values()), kept.failed) == ([QUESTIONS], {})
    expected = lines_of(f"-t [{VIP6}]:7000 -s rr", f"-r [{RIP61}]:7000 -g -w 1", f"-r [{RIP62}]:7000 -g -w 1")
    expected |= lines_of("-f 8 -6 -s rr -p 300")
    assert expected <= set(pushed.table(D1))


def test_an_ipv6_vip_may_have_ipv4_real_servers_by_tunnel(bench: Bench) -> None:
    """IPv6 in IPv4 to hosts that have no IPv6 address in the file."""
    file = bench.file(
        [{"vip": "web6", "port": PORT} | TUNNEL],
        vips={"web6": f"{VIP6}/64"},
        instances={"web6": {"home": D1}},
        real_servers={R1: RIP1, R2: RIP2},
    )
    bench.push(file)
    bench.shared(VIP6, PORT)
    assert f"-a -t [{VIP6}]:{PORT} -r {RIP1}:{PORT} -i -w 1 --tun-type ipip" in bench.table(D1)


def test_masquerading_reaches_another_port_and_moves_with_the_gateway(bench: Bench) -> None:
    """The gateway of the real servers is a VIP of the same VRRP instance: one holder has both, also after a failover."""
    file = bench.file(
        [RR | {"vip": "web", "port": PORT, "forwarding": "masquerade",
               "real_servers": {R1: {"weight": 1, "port": 7080}, R2: {"weight": 1, "port": 7080}}}],
        vips={"web": f"{VIP}/24", "gateway": {"address": f"{GATEWAY}/24", "instance": "web"}},
    )  # fmt: skip
    bench.push(file)
    for host in (R1, R2):
        bench.hosts.out(host, f"ip route replace {FAR}.0/24 via {GATEWAY}")
    try:
        bench.shared(VIP, PORT, source=f"{FAR}.50")
        assert f"-a -t {VIP}:{PORT} -r {RIP1}:7080 -m -w 1" in bench.table(D1)
        bench.hosts.out(D1, "systemctl stop keepalived")
        bench.hosts.until(lambda: bench.holds(D2, "web"), "the standby holds both VIPs")
        bench.shared(VIP, PORT, source=f"{FAR}.50")
    finally:
        for host in (R1, R2):
            bench.hosts.out(host, f"ip route replace {FAR}.0/24 dev eth0")
        bench.hosts.out(D1, "systemctl start keepalived")


def roles(bench: Bench, director: str) -> list[str]:
    """The sync daemons that run on a director: as a backup it balances nothing where the file says backup_only."""
    return [line.split()[0] for line in bench.hosts.out(director, "ipvsadm --list --daemon").splitlines()]


def test_a_director_may_be_a_real_server_too(bench: Bench) -> None:
    """The holder answers its share itself, the other director answers what it is sent, and nothing goes round in circles."""
    for host in (D1, D2):
        bench.answer_on(host)
    file = bench.file(
        [RR | {"vip": "web", "port": PORT}],
        real_servers={name: bench.addresses[name] for name in (D1, D2, R1)},
        ipvs={"backup_only": True, "sync": {}},
    )
    bench.push(file)
    for holder, standby in ((D1, D2), (D2, D1)):
        if not bench.holds(holder):
            bench.hosts.out(standby, "systemctl stop keepalived")
            bench.hosts.until(lambda: bench.holds(holder), "the standby holds the VIP")  # noqa: B023 - called at once
        for host, role in ((holder, "master"), (standby, "backup")):
            bench.hosts.until(lambda host=host, role=role: roles(bench, host) == [role], f"{host} is {role}")
        seen = bench.ask()
        assert not seen.failed
        assert set(seen.answered) == {D1, D2, R1}
        assert min(seen.answered.values()) >= QUESTIONS // 3
    bench.hosts.out(D1, "systemctl start keepalived")
