"""Anything is killed at any moment: the cluster ends in the pushed state without help, and the journal tells it.

Runs after the story, in the same lab: the cluster is pushed and at rest when these tests begin.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from microvm.lab import Lab
from story.cast import FIVE
from story.hosts import Hosts
from story.steps import ON_MASTER, balance, expect

HOME, STANDBY = FIVE.directors
REAL_SERVERS, MASTER, CLUSTER, VIP = FIVE.real_servers, FIVE.master, FIVE.cluster, FIVE.vip


@pytest.fixture
def hosts(lab: Lab) -> Hosts:
    """The lab's hosts, with the cluster in force; what the test broke is healed when it ends, or that is its failure."""
    found = Hosts(lab)
    settle(found)
    return found


def settle(hosts: Hosts) -> None:
    """Wait until every host is seen, is as pushed, and the VIP is at home; then 50 requests are shared equally."""
    hosts.until(lambda: at_rest(hosts), "the cluster is as it was pushed", within=90)
    balance(hosts)


def at_rest(hosts: Hosts) -> bool:
    answer = hosts.runner.run(MASTER, f"lbmaster status --json {CLUSTER}", check=False)
    if answer.returncode:
        return False
    cluster = json.loads(answer.stdout)["clusters"][CLUSTER]
    well = all(
        host["online"] and not host["drift"] and host["applied"] == cluster["released"]
        for host in cluster["hosts"].values()
    )
    complete = set(cluster["hosts"]) == set(FIVE.members) and cluster["rollout"] is None
    # A real server that was away gets no weight before its checks have passed.
    weighed = all("-w 0" not in hosts.out(director, "ipvsadm -Sn") for director in FIVE.directors)
    return well and complete and hosts.holder() == HOME and weighed


def kill(hosts: Hosts, host: str, unit: str) -> None:
    """Kill every process of a unit with signal 9."""
    hosts.out(host, f"systemctl kill --signal=KILL --kill-whom=all {unit}")


def kinds(hosts: Hosts, since: int, minion: str | None = None) -> list[str]:
    return [event["type"] for event in hosts.events(since) if minion in (None, event["minion"])]


def test_a_killed_keepalived_is_started_again_and_its_death_is_told(hosts: Hosts) -> None:
    """The VIP that it left behind is taken away first, so that no two hosts have it for longer than that."""
    since = hosts.cursor()
    kill(hosts, HOME, "keepalived")
    died, _ = hosts.until(lambda: hosts.event(since, "keepalived.died", HOME), "the death is told")
    hosts.until(lambda: hosts.event(since, "keepalived.started", HOME, by="minion"), "keepalived is started again")
    settle(hosts)
    assert died["data"]["instances"] == ["web"]
    assert "keepalived.stopped" not in kinds(hosts, since, HOME)


@pytest.mark.parametrize("host", [REAL_SERVERS[0], HOME])
def test_a_killed_minion_comes_back_and_touches_nothing(hosts: Hosts, host: str) -> None:
    """It adopts what it finds: IPVS goes on counting, keepalived keeps its process, nothing drifts."""
    since, pid = hosts.cursor(), hosts.out(HOME, "cat /run/keepalived.pid")
    table = "ipvsadm -Sn" if host in FIVE.directors else f"ip -br address show to {VIP}"
    before, counted = hosts.out(host, table), hosts.connections()
    kill(hosts, host, "lbminion")
    hosts.until(lambda: hosts.event(since, "minion.started", host), "the minion is back")
    settle(hosts)
    assert hosts.out(host, table) == before
    # Counters begin again with an entry that is made anew, and connections end with it.
    assert all(count >= counted[director] for director, count in hosts.connections().items())
    assert hosts.out(HOME, "cat /run/keepalived.pid") == pid
    assert not {"drift.found", "failover", "keepalived.died"} & set(kinds(hosts, since))


def test_what_a_minion_missed_while_it_was_dead_is_healed_when_it_is_back(hosts: Hosts) -> None:
    """As after a night without it: it compares when it starts."""
    host, since = REAL_SERVERS[1], hosts.cursor()
    hosts.out(host, "systemctl stop lbminion")
    hosts.out(host, f"ip address del {VIP}/32 dev lo")
    hosts.until(lambda: hosts.event(since, "minion.lost"), "the minion is called lost", within=30)
    hosts.out(host, "systemctl start lbminion")
    healed, _ = hosts.until(lambda: hosts.event(since, "drift.healed", host), "the VIP is healed")
    assert [step["identity"] for step in healed["data"]["steps"]] == [f"lo {VIP}/32"]


def test_a_master_that_is_killed_forgets_nothing(hosts: Hosts) -> None:
    """Events of the time without it wait on the hosts, and stand in the journal once and in order."""
    before = hosts.events(0)
    since = before[-1]["cursor"]
    hosts.out(MASTER, "systemctl stop lbmaster")
    hosts.out(REAL_SERVERS[0], f"ip address del {VIP}/32 dev lo")
    hosts.until(lambda: hosts.has_vip(REAL_SERVERS[0]), "the VIP is healed without a master")
    hosts.out(MASTER, "systemctl start lbmaster")
    hosts.until(lambda: hosts.event(since, "drift.healed", REAL_SERVERS[0]), "the event has arrived", within=90)
    kill(hosts, MASTER, "lbmaster")
    settle(hosts)
    after = hosts.events(0)
    assert after[: len(before)] == before
    in_order_and_once(after)


def in_order_and_once(events: list[dict[str, Any]]) -> None:
    cursors = [event["cursor"] for event in events]
    assert cursors == sorted(set(cursors))
    by_minion: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        by_minion.setdefault(event["minion"], []).append((event["boot"], event["sequence"]))
    for minion, identities in by_minion.items():
        assert identities == sorted(set(identities)), minion


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.8])
def test_a_master_that_is_killed_during_a_push_ends_it_when_it_is_back(hosts: Hosts, delay: float) -> None:
    """The push belongs to the master, not to the command that asked for it; no generation number is used twice."""
    generation = hosts.ask(f"status --json {CLUSTER}")["clusters"][CLUSTER]["generation"]
    changed = f"sed 's/scheduler: rr/scheduler: wrr/' {ON_MASTER} >/root/changed.yaml"
    killing = f"(sleep {delay}; systemctl kill --signal=KILL lbmaster) &"
    done = hosts.runner.run(MASTER, f"{changed}; {killing} lbmaster push --json /root/changed.yaml", check=False)
    settle(hosts)
    cluster = hosts.ask(f"status --json {CLUSTER}")["clusters"][CLUSTER]
    reached = cluster["generation"]
    expect(reached in (generation, generation + 1), "at most one generation more", (generation, reached, done))
    scheduler = "wrr" if cluster["released"] > generation else "rr"
    hosts.until(lambda: f"-s {scheduler}" in hosts.out(HOME, "ipvsadm -Sn"), f"the table says {scheduler}")
    again = hosts.ask(f"push --json {ON_MASTER}")
    assert again["outcome"] == "converged"
    assert again["generation"] == reached + 1


@pytest.mark.parametrize("host", [REAL_SERVERS[0], STANDBY])
def test_a_minion_that_is_killed_during_a_push_takes_part_when_it_is_back(hosts: Hosts, host: str) -> None:
    """The push waits for it, within its lease; for one that is away for longer it fails before anything is released.

    One that was already missed when it began is refused, and names it.
    """
    killing = "for i in 1 2 3; do systemctl kill --signal=KILL lbminion; sleep 0.4; done"
    hosts.out(host, f"(setsid sh -c '{killing}' >/dev/null 2>&1 </dev/null &)")
    pushed = hosts.runner.run(MASTER, f"lbmaster push --json {ON_MASTER}", check=False)
    settle(hosts)
    answer = json.loads(pushed.stdout)
    match answer:
        case {"error": {"kind": "absent", "text": text}}:
            assert host in text
        case {"outcome": "failed", "stays": "not_released", "hosts": hosts_then}:
            assert hosts_then[host]["problem"]
        case _:
            assert answer["outcome"] == "converged", answer
    assert hosts.ask(f"push --json {ON_MASTER}")["outcome"] == "converged"


def test_a_real_server_that_loses_power_is_made_whole_when_it_boots(hosts: Hosts, lab: Lab) -> None:
    """Nothing of the state is in its network configuration: the minion brings it back from its disk."""
    host, since = REAL_SERVERS[1], hosts.cursor()
    lab.crash(host)
    hosts.until(lambda: hosts.event(since, "minion.lost"), "the loss is told", within=30)
    lab.boot(host)
    hosts.until(lambda: hosts.has_vip(host), "the VIP is back")


def test_a_director_that_loses_power_is_replaced_and_comes_home(hosts: Hosts, lab: Lab) -> None:
    """The standby takes the VIP by VRRP's own timers; the other one takes it back when it has its table again."""
    since = hosts.cursor()
    lab.crash(HOME)
    hosts.until(lambda: hosts.holder() == STANDBY, "the standby holds the VIP", within=60)
    balance(hosts)
    lab.boot(HOME)
    hosts.until(lambda: hosts.holder() == HOME, "the VIP is home again", within=90)

    def failovers() -> list[tuple[str, str]]:
        told = [event["data"] for event in hosts.events(since) if event["type"] == "failover"]
        return [(data["source"], data["target"]) for data in told]

    # Told when all hosts have been compared.
    hosts.until(lambda: len(failovers()) > 1, "both failovers are told")
    assert failovers() == [(HOME, STANDBY), (STANDBY, HOME)]
