"""`lbmaster doctor` on a whole cluster: silent about a healthy one, and right about what was done to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.lab.bench import CLUSTER, D1, D2, MASTER, PORT, R1, R2, VIP, VIP6, Bench

SERVICE = {"vip": "web", "port": PORT, "scheduler": "rr"}


def examined(bench: Bench) -> dict[str, Any]:
    """What the doctor says of the cluster."""
    done = bench.lab.run(MASTER, f"lbmaster doctor --json --timeout 20s {CLUSTER}", timeout=60, check=False)
    found: dict[str, Any] = json.loads(done.stdout)["clusters"][CLUSTER]
    return found


def bad(found: dict[str, Any]) -> list[str]:
    """Everything but what is only to be known, in one line each."""
    lines = [f"{'+'.join(it['hosts'])} {it['id']} {it['subject']}: {it['seen']}" for it in found["between"]]
    for name, host in found["hosts"].items():
        lines += [f"{name} did not answer"] if host.get("silent") else []
        lines += [f"{name}: {host['error']}"] if host.get("error") else []
        lines += [
            f"{name} {it['id']} {it['subject']}: {it['seen']}"
            for it in host["symptoms"]
            # V2 tells of the machine: that it stood still for a second within the last hour.
            if it["severity"] != "info" and it["id"] != "V2"
        ]
    return lines


def test_a_healthy_cluster_has_no_symptom(bench: Bench) -> None:
    """Direct routing and its elections."""
    bench.push(bench.file([SERVICE]))
    assert bad(examined(bench)) == []


def test_a_healthy_cluster_with_two_elections_has_no_symptom(bench: Bench) -> None:
    """Two elections of both families, persistence, datagrams, synchronised connections."""
    services = [
        SERVICE,
        {**SERVICE, "port": PORT + 1, "persistence": 60},
        {**SERVICE, "port": PORT + 2, "protocol": "udp"},
        {**SERVICE, "vip": "six"},
    ]
    vips = {"web": f"{VIP}/24", "six": f"{VIP6}/64"}
    bench.push(bench.file(services, vips=vips, ipvs={"sync": {}}, instances={"web": {"home": D1}, "six": {"home": D2}}))
    assert bad(examined(bench)) == []


@pytest.mark.pitfall("R2")
def test_a_real_server_that_answers_arp_is_named_by_the_directors(bench: Bench) -> None:
    """Its own minion is stopped, or would heal it at once."""
    bench.push(bench.file([SERVICE]))
    bench.hosts.out(
        R2, "systemctl stop lbminion; sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0"
    )
    try:
        found = examined(bench)
    finally:
        bench.hosts.out(R2, "systemctl start lbminion")
        bench.hosts.until(lambda: bench.hosts.status()["hosts"][R2]["online"], f"{R2} is there again")
    for director in (D1, D2):
        symptoms = [it for it in found["hosts"][director]["symptoms"] if it["id"] == "R2"]
        assert [it["subject"] for it in symptoms] == [VIP], director
        assert bench.addresses[R2]["address"] in symptoms[0]["seen"]


@contextmanager
def deaf(bench: Bench, host: str, peer: str) -> Iterator[None]:
    """A director's kernel drops what comes from its peer: it becomes MASTER beside it. (The guests have no packet filter.)"""
    address = bench.addresses[peer]["address"]
    bench.hosts.out(host, f"ip route add blackhole {address}; sysctl -qw net.ipv4.conf.eth0.rp_filter=1")
    try:
        bench.hosts.until(lambda: f" {VIP}/" in bench.hosts.out(host, "ip -4 -o address show dev eth0"), "it is MASTER")
        yield
    finally:
        bench.hosts.out(host, f"ip route del blackhole {address}; sysctl -qw net.ipv4.conf.eth0.rp_filter=0")


@pytest.mark.pitfall("V1")
def test_two_masters_are_found_by_both_and_between_them(bench: Bench) -> None:
    """Each by what it hears or by who answers ARP; the master by who holds what."""
    bench.push(bench.file([SERVICE]))
    with deaf(bench, D2, D1):
        found = examined(bench)
    assert [it["hosts"] for it in found["between"] if it["id"] == "V1"] == [[D1, D2]]
    for director in (D1, D2):
        assert "V1" in {it["id"] for it in found["hosts"][director]["symptoms"]}, director


@pytest.mark.pitfall("R11")
def test_a_service_that_is_gone_is_found_on_its_real_server(bench: Bench) -> None:
    """On that one only."""
    bench.push(bench.file([{**SERVICE, "port": 9999}, SERVICE]))
    found = examined(bench)
    for server in (R1, R2):
        assert [(it["id"], it["subject"]) for it in found["hosts"][server]["symptoms"]] == [("R11", f"tcp {VIP}:9999")]
