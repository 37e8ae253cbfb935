"""What an election can be, on real kernels: quick, without preemption, in groups, by unicast, on a VLAN, with routes.

Each test pushes a cluster file of its own to the same guests, and leaves every keepalived running.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.lab.bench import BOND, D1, D2, PORT, QUESTIONS, R1, R2, VIP, VLAN, Bench, measured

WEB = {"vip": "web", "port": PORT, "scheduler": "rr"}
HOME = {"home": D1}


@contextmanager
def stopped(bench: Bench, host: str) -> Iterator[None]:
    """Without keepalived there."""
    bench.hosts.out(host, "systemctl stop keepalived")
    try:
        yield
    finally:
        bench.hosts.out(host, "systemctl start keepalived")


def with_instance(bench: Bench, **words: Any) -> dict[str, Any]:
    """A cluster file whose one VRRP instance is set up like that."""
    return bench.file([WEB], instances={"web": HOME | words})


def test_sub_second_adverts_make_a_takeover_without_a_word_quick(bench: Bench) -> None:
    """A director that falls silent is replaced after three intervals; with one second each it takes more than three."""
    bench.push(with_instance(bench, advert_interval=0.2))
    since = bench.hosts.cursor()
    silent = float(bench.hosts.out(D1, "date +%s.%N; systemctl kill --signal=STOP keepalived"))
    try:
        taken = bench.transition(since, D2, "web", "MASTER") - silent
    finally:
        bench.hosts.out(D1, "systemctl kill --signal=CONT keepalived")
    bench.hosts.until(lambda: bench.holds(D1), "the VIP is home again")
    measured("takeover from a director that falls silent, adverts every 0.2 s", taken)
    assert taken < 2.5
    bench.shared()


def test_without_preemption_the_vip_stays_where_it_is(bench: Bench) -> None:
    """The home director comes back as BACKUP; what the kernel routes for the VIP moved with it."""
    routes = [{"to": "10.99.0.0/16", "via": "172.28.128.1"}]
    rules = [{"source": f"{VIP}/32", "table": 100, "priority": 1000}]
    bench.push(with_instance(bench, preempt=False, advert_interval=0.2, routes=routes, rules=rules))
    assert routed(bench) == [D1]
    since = bench.hosts.cursor()
    with stopped(bench, D1):
        bench.hosts.until(lambda: bench.holds(D2), "the standby holds the VIP")
    bench.transition(since, D1, "web", "BACKUP")
    bench.shared()
    assert bench.holds(D2)
    assert routed(bench) == [D2]
    bench.push(with_instance(bench))
    assert routed(bench) == []


def routed(bench: Bench) -> list[str]:
    """The directors that have both the route and the rule of the VIP."""
    look = f"ip route show 10.99.0.0/16 | grep -q via && ip rule show | grep -q 'from {VIP} '"
    return [host for host in (D1, D2) if bench.lab.run(host, look, check=False).returncode == 0]


def test_a_sync_group_moves_as_a_whole_when_a_tracked_interface_goes(bench: Bench) -> None:
    """Only one of the two instances watches the interface, and both go."""
    bench.hosts.out(D1, "ip link add lab0 type dummy; ip link set lab0 up")
    bench.hosts.out(D2, "ip link add lab0 type dummy; ip link set lab0 up")
    group = HOME | {"sync_group": "pair", "advert_interval": 0.2}
    file = bench.file(
        [WEB],
        vips={"web": f"{VIP}/24", "inner": "172.28.128.202/24"},
        instances={"web": group, "inner": group | {"track_interfaces": ["lab0"]}},
    )
    bench.push(file)
    bench.hosts.out(D1, "ip link set lab0 down")
    try:
        bench.hosts.until(lambda: bench.holds(D2, "web", "inner"), "both instances have moved")
        bench.shared()
    finally:
        bench.hosts.out(D1, "ip link set lab0 up")
    bench.hosts.until(lambda: bench.holds(D1, "web", "inner"), "both are home again")


def test_unicast_adverts_go_to_each_peer_and_to_nobody_else(bench: Bench) -> None:
    """The peers are the other directors; the election works as before."""
    bench.push(bench.file([WEB], vrrp={"mode": "unicast"}))
    seen = bench.hosts.out(D2, "timeout 20 tcpdump -lnc 2 -i eth0 proto 112 2>/dev/null")
    assert seen.count("172.28.128.30 > 172.28.128.40: VRRP") == 2, seen
    with stopped(bench, D1):
        bench.hosts.until(lambda: bench.holds(D2), "the standby holds the VIP")
        bench.shared()
    bench.hosts.until(lambda: bench.holds(D1), "the VIP is home again")


@pytest.mark.parametrize(("interface", "network"), [("eth0.100", VLAN), ("bond0", BOND)])
def test_a_vip_on_another_interface_is_served_there(bench: Bench, interface: str, network: str) -> None:
    """On a VLAN and on a bond: the real servers have their addresses there, and answer from there."""
    address = f"{network}.200"
    file = bench.file(
        [WEB | {"vip": "there"}],
        vips={"there": {"address": f"{address}/24", "interface": interface}},
        instances={"there": HOME},
        real_servers={R1: f"{network}.10", R2: f"{network}.20"},
    )
    bench.push(file)
    assert re.match(rf"{interface}[@ ]", bench.hosts.out(D1, f"ip -br address show to {address}"))
    bench.shared(address)
    with stopped(bench, D1):
        bench.hosts.until(lambda: bench.holds(D2), "the standby holds the VIP")
        bench.shared(address)
    bench.hosts.until(lambda: bench.holds(D1), "the VIP is home again")


def test_version_2_elects_with_a_password(bench: Bench) -> None:
    """All other tests here are of version 3."""
    bench.push(bench.file([WEB], vrrp={"version": 2, "auth_pass": "s3cret"}))
    seen = bench.hosts.out(D2, "timeout 20 tcpdump -lnvc 1 -i eth0 proto 112 2>/dev/null")
    assert "VRRPv2, Advertisement, vrid 200" in seen, seen
    assert not bench.hosts.has_vip(D2, VIP)


def test_a_minion_that_is_gone_gives_up_its_vips_to_one_that_is_alive(bench: Bench) -> None:
    """Killed and kept from starting: the VIP goes to the healthy director, and comes back with the minion."""
    bench.push(bench.file([WEB]))
    since = bench.hosts.cursor()
    with without_minion(bench, D1) as gone:
        taken = bench.transition(since, D2, "web", "MASTER") - gone
        bench.hosts.until(lambda: bench.lab.run(D1, f"ip -br address show to {VIP}").stdout == "", "the VIP is gone")
        bench.shared()
    bench.hosts.until(lambda: bench.holds(D1), "the VIP is home again")
    measured("from the death of the active director's minion to the takeover", taken)
    assert taken < 25


def test_directors_without_minions_keep_the_vip(bench: Bench) -> None:
    """When none is healthy, the better one holds it, and clients see nothing of it."""
    bench.push(bench.file([WEB]))
    with without_minion(bench, D2) as second, without_minion(bench, D1) as first:
        for host, gone in ((D1, first), (D2, second)):
            said = f"journalctl -u keepalived --since @{int(gone)} --no-pager | grep 'Changing effective priority'"
            bench.hosts.until(
                lambda host=host, said=said: bench.lab.run(host, said, check=False).stdout, "the minion is missed"
            )
        assert bench.hosts.has_vip(D1, VIP)
        assert not bench.hosts.has_vip(D2, VIP)
        bench.shared()
    bench.hosts.until(lambda: bench.holds(D1), "the VIP is at home")


@contextmanager
def without_minion(bench: Bench, host: str) -> Iterator[float]:
    """Kill the minion and keep systemd from starting it again; gives the time of its death."""
    drop_in = "/run/systemd/system/lbminion.service.d/gone.conf"
    lines = f"mkdir -p $(dirname {drop_in}); printf '[Service]\\nRestart=no\\n' >{drop_in}; systemctl daemon-reload"
    kill = "systemctl kill --signal=KILL --kill-whom=all lbminion"
    gone = float(bench.hosts.out(host, f"{lines}; date +%s.%N; {kill}"))
    try:
        yield gone
    finally:
        bench.hosts.out(host, f"rm {drop_in}; systemctl daemon-reload; systemctl start lbminion")


def test_a_restart_of_the_minion_moves_no_vip(bench: Bench) -> None:
    """It is back before it is missed."""
    bench.push(bench.file([WEB]))
    since = bench.hosts.cursor()
    bench.hosts.out(D1, "systemctl kill --signal=KILL --kill-whom=all lbminion")
    bench.hosts.until(lambda: bench.hosts.event(since, "minion.started", D1), "the minion is back")
    seen = bench.ask()
    assert (sum(seen.answered.values()), seen.failed) == (QUESTIONS, {})
    events = bench.hosts.events(since)
    assert not [event for event in events if event["type"] == "vrrp.transition" and event["minion"] == D2]
    assert "failover" not in {event["type"] for event in events}
