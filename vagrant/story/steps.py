"""The story: each step does something to the cluster, checks what comes of it, and says so in a line.

A step raises `Unexpected` when the cluster is not as it should be. The steps build on each other, in the order of `STORY`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from story.hosts import Hosts, Unexpected
from story.outcome import Outcome

ON_MASTER: Final = "/root/cluster.yaml"
REQUESTS: Final = 50

Step = Callable[[Hosts], Outcome]


def expect(true: bool, what: str, seen: object) -> None:
    """Raise `Unexpected` unless it is so."""
    if not true:
        raise Unexpected(f"{what}, but saw {seen}")


def on_each(do: Callable[[str], object], names: Iterable[str]) -> None:
    """Do it for all of them at once; raises what one of them raised."""
    with ThreadPoolExecutor() as pool:
        for one in [pool.submit(do, name) for name in names]:
            one.result()


def start_master(hosts: Hosts) -> Outcome:
    """The master is set up and started on its host."""
    master = hosts.cast.master
    fingerprint = hosts.lbmaster(f"init --listen {hosts.cast.master_address}").split("Fingerprint: ")[1].split()[0]
    hosts.out(master, "systemctl enable -q --now lbmaster")
    hosts.until(
        lambda: hosts.runner.run(master, "lbmaster keys list", check=False).returncode == 0, "the master answers"
    )
    return Outcome(f"master on {master}, fingerprint {fingerprint[:12]}...", figures={"fingerprint": fingerprint})


def join(hosts: Hosts) -> Outcome:
    """The hosts join with a one-time token each; the last one waits until the operator accepts its key."""
    joined = {key["name"] for key in hosts.ask("keys list --json")["keys"] if key["state"] == "accepted"}
    wanting = [host for host in hosts.cast.members if host not in joined]
    if wanting:
        _let_in(hosts, *wanting)
    hosts.until(lambda: _all_seen(hosts), "every minion is heard of")
    *with_token, waiting = wanting or ["nobody"]
    return Outcome(f"{', '.join(with_token)} by token, {waiting} accepted by hand; all are heard of")


def _let_in(hosts: Hosts, *wanting: str) -> None:
    fingerprint = hosts.lbmaster("init").split("Fingerprint: ")[1].split()[0]
    command = f"lbminion join --master {hosts.cast.master_address} --fingerprint {fingerprint}"
    *with_token, waiting = wanting

    def by_token(host: str) -> None:
        token = hosts.lbmaster(f"keys token --ttl 10m --name {host}").splitlines()[-1]
        hosts.out(host, f"{command} --token {token}")

    hosts.out(waiting, f"(setsid {command} >/tmp/join.log 2>&1 </dev/null &)")
    on_each(by_token, with_token)
    hosts.until(lambda: _key_state(hosts, waiting) == "pending", f"{waiting} is pending")
    hosts.lbmaster(f"keys accept {waiting}")
    hosts.until(
        lambda: hosts.runner.run(waiting, "test -s /etc/lbminion/minion.toml", check=False).returncode == 0,
        f"{waiting} is let in",
    )
    on_each(lambda host: hosts.out(host, "systemctl enable -q --now lbminion"), wanting)


def _key_state(hosts: Hosts, host: str) -> str | None:
    keys = hosts.ask("keys list --json")["keys"]
    return next((key["state"] for key in keys if key["name"] == host), None)


def _all_seen(hosts: Hosts) -> bool:
    status = hosts.ask("status --json")
    seen = set(status["unassigned"])
    for cluster in status["clusters"].values():
        seen |= {name for name, host in cluster["hosts"].items() if host["online"]}
    return set(hosts.cast.members) <= seen


def plan(hosts: Hosts) -> Outcome:
    """The plan names what would change on every host, and changes nothing."""
    members = hosts.cast.members
    hosts.runner.run(hosts.cast.master, f"cat >{ON_MASTER}", stdin=hosts.cast.cluster_file.read_text())
    planned = hosts.ask(f"plan --json {ON_MASTER}")["hosts"]
    counts = {host: len(answer["steps"]) for host, answer in planned.items()}
    expect(set(counts) == set(members) and all(counts.values()), "a plan with changes for each of the hosts", planned)
    changed = [host for host in members for vip in hosts.cast.vips.values() if hosts.has_vip(host, vip)]
    expect(not changed, "no host to be changed by a plan", f"a VIP on {changed}")
    return Outcome(f"{sum(counts.values())} changes on {len(counts)} hosts, none made", figures={"changes": counts})


def push(hosts: Hosts) -> Outcome:
    """One push makes the hosts so, and directors take the VIPs."""
    pushed = hosts.ask(f"push --json {ON_MASTER}")
    expect(pushed["outcome"] == "converged", "the push to converge", pushed)
    holders, elected = hosts.until(lambda: _if_all_held(hosts), "every VIP is held by its home director")
    held = ", ".join(f"{hosts.cast.vips[name]} on {holder}" for name, holder in holders.items())
    return Outcome(
        f"generation {pushed['generation']} in force on {len(pushed['hosts'])} hosts; {held} after {elected:.1f} s more",
        seconds=pushed["seconds"],
        figures={"generation": pushed["generation"], "election_seconds": elected, "holders": holders},
    )


def _if_all_held(hosts: Hosts) -> dict[str, str] | None:
    """The holder of each VRRP instance, once every VIP is at home: one at the first director, several shared out."""
    holders = {name: holder for name, holder in hosts.holders().items() if holder}
    directors = hosts.cast.directors
    homes = set(directors[: len(hosts.cast.vips)])
    return holders if len(holders) == len(hosts.cast.vips) and set(holders.values()) == homes else None


def balance(hosts: Hosts, vip: str | None = None) -> Outcome:
    """50 requests through the VIP are shared equally."""
    report = hosts.request(REQUESTS, vip)
    half = dict.fromkeys(hosts.cast.real_servers, REQUESTS // 2)
    expect(report["answered"] == half and report["logged"] == half, f"{half} answers and log lines", report)
    shares = " / ".join(f"{host} {count}" for host, count in report["logged"].items())
    return Outcome(f"{REQUESTS} requests: {shares} (access logs)", seconds=report["seconds"], figures=report)


def stats(hosts: Hosts) -> Outcome:
    """The cluster-wide statistics show the requests, on the active director only."""
    # The kernel sums up its per-CPU counters every two seconds, so the figures follow with that delay.
    active, standby = hosts.cast.directors
    counted, _ = hosts.until(lambda: _if_counted(hosts, active, REQUESTS), "the connections are counted", within=15)
    print(hosts.lbmaster(f"stats {hosts.cast.cluster}"))
    expect(counted.get(standby, 0) == 0, f"nothing counted on {standby}", counted)
    return Outcome(f"connections counted: {_per_host(counted)}", figures={"connections": counted})


def _if_counted(hosts: Hosts, director: str, connections: int) -> dict[str, int] | None:
    counted = hosts.connections()
    return counted if counted.get(director, 0) >= connections else None


def _per_host(counted: dict[str, int]) -> str:
    return ", ".join(f"{host} {number}" for host, number in counted.items())


def fail_over(hosts: Hosts) -> Outcome:
    """Keepalived is stopped on the active director: the other one takes the VIP, and the requests go on."""
    active, standby = hosts.cast.directors
    before, since = hosts.connections(), hosts.cursor()
    hosts.out(active, "systemctl stop keepalived")
    _, elapsed = hosts.until(lambda: hosts.holder() == standby, f"{standby} holds the VIP")
    expect(hosts.has_vip(standby) and not hosts.has_vip(active), "the VIP on the standby only", "otherwise")
    shares = balance(hosts)
    goal = before.get(standby, 0) + REQUESTS
    after, _ = hosts.until(lambda: _if_counted(hosts, standby, goal), "the connections are counted", within=15)
    expect(after[active] == before[active], f"no new connection on {active}", after)
    failover, _ = hosts.until(lambda: hosts.event(since, "failover", target=standby), "the failover is told")
    return Outcome(
        f"VIP on {standby}; {shares.said}; counted since: {_per_host({h: after[h] - before[h] for h in after})}",
        seconds=elapsed,
        figures={"failover": failover["data"], "requests": shares.figures, "handover": _handover(hosts, since)},
    )


def _handover(hosts: Hosts, since: int) -> dict[str, float]:
    """From "STOP" on the one to "MASTER" on the other, by the hosts' own clocks."""
    active, standby = hosts.cast.directors
    stop = hosts.event(since, "vrrp.transition", active, state="STOP")
    master = hosts.event(since, "vrrp.transition", standby, state="MASTER")
    return {"seconds": master["time"] - stop["time"]} if stop and master else {}


def respect_stop(hosts: Hosts) -> Outcome:
    """The stopped keepalived stays stopped: a reconcile does not undo what an operator did."""
    stopped = hosts.cast.directors[0]
    hosts.lbmaster(f"reconcile {hosts.cast.cluster} || true")
    running = hosts.runner.run(stopped, "systemctl is-active keepalived", check=False).stdout.strip()
    expect(running == "inactive", "keepalived left alone", running)
    note = hosts.status()["hosts"][stopped]
    expect("stopped" in note["keepalived"], "the status to say that it was stopped", note)
    return Outcome(f"keepalived on {stopped} is left alone, and shown as {note['keepalived']!r}")


def show_events(hosts: Hosts) -> Outcome:
    """The journal tells what happened, in the order in which it came."""
    text = hosts.lbmaster("events --limit 25")
    print("\n".join(f"      {line}" for line in text.splitlines()))
    events = hosts.events(0)
    kinds = {event["type"] for event in events}
    wanted = {"push.started", "push.finished", "state.applied", "vrrp.transition", "keepalived.stopped", "failover"}
    expect(wanted <= kinds, f"events of the types {sorted(wanted)}", sorted(kinds))
    cursors = [event["cursor"] for event in events]
    expect(cursors == sorted(set(cursors)), "each event once and in order", cursors)
    return Outcome(f"{len(events)} events of {len(kinds)} types, each once, in order", figures={"events": len(events)})


def come_back(hosts: Hosts) -> Outcome:
    """Keepalived is started again: the VIP goes home."""
    home = hosts.cast.directors[0]
    hosts.out(home, "systemctl start keepalived")
    _, elapsed = hosts.until(lambda: hosts.holder() == home, f"{home} holds the VIP again")
    return Outcome(f"VIP back on {home}; {balance(hosts).said}", seconds=elapsed)


def lose_vip(hosts: Hosts) -> Outcome:
    """Somebody deletes the VIP from `lo` of a real server: it is back before anybody notices."""
    host, since = hosts.cast.real_servers[0], hosts.cursor()
    hosts.out(host, f"ip address del {hosts.cast.vip}/32 dev lo")
    healed, _ = hosts.until(lambda: hosts.event(since, "drift.healed", host), "the VIP is healed")
    expect(hosts.has_vip(host), f"the VIP on {host}", "none")
    return _healed(hosts, healed, since)


def empty_table(hosts: Hosts) -> Outcome:
    """Somebody empties the IPVS table of the active director: it is filled again."""
    host, since = hosts.cast.directors[0], hosts.cursor()
    hosts.out(host, "ipvsadm -C")
    healed, _ = hosts.until(lambda: hosts.event(since, "drift.healed", host), "the table is healed")
    return _healed(hosts, healed, since)


def _healed(hosts: Hosts, healed: dict[str, Any], since: int) -> Outcome:
    balanced = balance(hosts)
    expect(hosts.event(since, "drift.found", healed["minion"]) is not None, "drift.found before it", "nothing")
    steps = ", ".join(f"{step['kind']} {step['identity']}" for step in healed["data"]["steps"])
    seconds = healed["data"]["seconds"]
    return Outcome(f"{healed['minion']} healed {steps}; {balanced.said}", seconds=seconds, figures=healed["data"])


def push_again(hosts: Hosts) -> Outcome:
    """An untouched second push changes nothing anywhere."""
    pushed = hosts.ask(f"push --json {ON_MASTER}")
    changes = {host: answer["steps"] for host, answer in pushed["hosts"].items()}
    expect(pushed["outcome"] == "converged" and not any(changes.values()), "a push without a change", pushed)
    return Outcome(
        f"generation {pushed['generation']}: no change on any host",
        seconds=pushed["seconds"],
        figures={"generation": pushed["generation"]},
    )
