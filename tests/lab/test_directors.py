"""What both directors share, on real kernels: connections over a failover, timeouts, sysctls; and how quick drift is healed."""

from __future__ import annotations

from typing import Any

from tests.lab.bench import D1, D2, PORT, R1, VIP, Bench, measured

from story.hosts import Unexpected

WEB = {"vip": "web", "port": PORT, "scheduler": "rr"}
IPVS: dict[str, Any] = {
    "timeouts": {"tcp": 1200, "tcpfin": 60, "udp": 100},
    "sync": {"id": 7, "interface": "eth0", "maximum_length": 1400},
    "sysctls": {"sync_threshold": "1 5", "expire_quiescent_template": 1},
}


def test_a_connection_survives_a_failover_both_ways(bench: Bench) -> None:
    """Both directors run both sync daemons, so that the new holder knows the connection."""
    bench.push(bench.file([WEB], ipvs=IPVS))
    for host in (D1, D2):
        assert set(bench.hosts.out(host, "ipvsadm --list --daemon").splitlines()) == {
            "master sync daemon (mcast=eth0, syncid=7, maxlen=1400, group=224.0.0.81, port=8848, ttl=1)",
            "backup sync daemon (mcast=eth0, syncid=7, maxlen=1400, group=224.0.0.81, port=8848, ttl=1)",
        }
    with bench.holding(VIP, PORT, 20) as held:
        bench.hosts.until(lambda: bench.hosts.knows(D2, VIP, PORT), "the connection is on the standby")
        bench.hosts.out(D1, "systemctl stop keepalived")
        bench.hosts.until(lambda: bench.holds(D2), "the standby holds the VIP")
        bench.hosts.out(D1, "systemctl start keepalived")
        bench.hosts.until(lambda: bench.holds(D1), "the VIP is home again")
    measured("longest pause of a connection over two failovers", held.gap)
    assert held.error == ""
    assert len(held.answered) == 1
    assert held.gap < 5


def test_timeouts_and_sysctls_are_as_the_file_says_and_healed(bench: Bench) -> None:
    """On both directors; what somebody changes is set again."""
    bench.push(bench.file([WEB], ipvs=IPVS))
    for host in (D1, D2):
        assert bench.hosts.out(host, "ipvsadm -L --timeout") == "Timeout (tcp tcpfin udp): 1200 60 100"
        assert bench.hosts.out(host, "cd /proc/sys/net/ipv4/vs; cat sync_threshold expire_quiescent_template").split() == [
            "1", "5", "1",
        ]  # fmt: skip
    heal(bench, D1, "ipvsadm --set 900 120 300", "timeouts")
    assert bench.hosts.out(D1, "ipvsadm -L --timeout") == "Timeout (tcp tcpfin udp): 1200 60 100"
    heal(bench, D1, "echo 0 >/proc/sys/net/ipv4/vs/expire_quiescent_template", "sysctl")
    heal(bench, D1, "ipvsadm --stop-daemon backup", "sync_daemon")


def test_drift_is_healed_before_anybody_notices(bench: Bench) -> None:
    """From the change to the repair: an address within a second, the IPVS table within two, on a machine that has time."""
    bench.push(bench.file([WEB]))
    address = heal(bench, R1, f"ip address del {VIP}/32 dev lo", "address")
    table = heal(bench, D1, "ipvsadm -C", "service")
    for what, seconds in (("address deleted on lo", address), ("IPVS table emptied", table)):
        measured(f"{what}, until healed", seconds)
    assert address < 5
    assert table < 10
    bench.shared()


def heal(bench: Bench, host: str, change: str, kind: str) -> float:
    """Change something on a host, wait until it is healed; the seconds in between, by the host's own clock."""
    since = bench.hosts.cursor()
    changed = float(bench.hosts.out(host, f"date +%s.%N; {change}"))
    event, _ = bench.hosts.until(lambda: bench.hosts.event(since, "drift.healed", host), f"{kind} is healed on {host}")
    kinds = {step["kind"] for step in event["data"]["steps"]}
    if kind not in kinds:
        raise Unexpected(f"{kind} to be healed on {host}, but saw {event}")
    return float(event["time"]) - changed
