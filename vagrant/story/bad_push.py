"""A push that would hurt: it is stopped before it does, and taken back, while the client's requests go on."""

from __future__ import annotations

from story.hosts import Hosts
from story.outcome import Outcome
from story.steps import balance, expect
from story.traffic import watched

TYPO = "/root/typo.yaml"


def push_badly(hosts: Hosts) -> Outcome:
    """Somebody mistypes a port and pushes at noon: the push stops at the standby director and goes back by itself."""
    before, since = hosts.status()["released"], hosts.cursor()
    active, standby = hosts.cast.directors
    text = hosts.cast.cluster_file.read_text()
    expect("port: 80\n" in text, "a service on port 80 to mistype", text)
    hosts.runner.run(hosts.cast.master, f"cat >{TYPO}", stdin=text.replace("port: 80\n", "port: 8080\n"))
    table = hosts.out(active, "ipvsadm -Sn")
    with watched(hosts) as traffic:
        pushed = hosts.runner.run(hosts.cast.master, f"lbmaster push {TYPO}", timeout=180, check=False)
    print("\n".join(f"      {line}" for line in pushed.stdout.splitlines()))
    expect(pushed.returncode != 0, "the push to fail", pushed.stdout)
    gate = hosts.event(since, "push.gate")
    back = hosts.event(since, "push.rolled_back", outcome="converged")
    expect(gate is not None and back is not None, "a gate that did not pass, and a rollback", hosts.report())
    traffic.check({})
    touched = [event for event in hosts.events(since) if event["type"] == "state.applied" and event["minion"] == active]
    steps = [step for event in touched for step in event["data"]["steps"]]
    expect(not steps, f"nothing changed on {active}, which holds the VIP", steps)
    expect(
        hosts.out(active, "ipvsadm -Sn") == table, f"the table of {active} as it was", hosts.out(active, "ipvsadm -Sn")
    )
    expect("8080" not in hosts.out(standby, "ipvsadm -Sn"), f"nothing of the typo left on {standby}", "8080")
    sent = sum(report["sent"] for report in traffic.seen.values())
    return Outcome(
        f"{gate['data']['problems'][0] if gate else ''}; generation {before} is in force again as "
        f"{back['data']['by_generation'] if back else ''}; 0 of {sent} requests lost; {balance(hosts).said}",
        figures={"gate": gate, "rolled_back": back, "traffic": traffic.seen},
    )
