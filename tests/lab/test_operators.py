"""What operators decide and how they roll out, on real kernels: evacuations, maintenance, pauses, deadlines, absent hosts.

A push that is watched here brings a second VIP, which a real server that was released has on its `lo`, and no other one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from tests.lab.bench import CLUSTER, D1, D2, MASTER, R1, R2, VIP, Bench
from tests.lab.test_directors import WEB

ADDED: Final = "172.28.128.202"
"""The second VIP: of the same VRRP instance, so that it needs no election of its own."""
PAUSED: Final = "--canary 1 --pause canary"
RESUME: Final = """
import socket

with socket.socket(socket.AF_UNIX) as asking:
    asking.connect("/run/lbmaster/control.sock")
    asking.sendall(b'{"verb": "rollout.resume"}\\n')
    print(asking.makefile().readline())
"""
"""`lbmaster rollout resume` without the second in which Python starts: a frozen minion must not be lost before its time is over."""


@dataclass(frozen=True)
class Done:
    """How a command of the CLI ended: its exit code, its answer in JSON, and what it said on standard error."""

    code: int
    answer: dict[str, Any]
    said: str

    @property
    def refused(self) -> str:
        """The kind of the error; "" for none."""
        return str(self.answer.get("error", {}).get("kind", ""))


def ask_master(bench: Bench, arguments: str, stdin: str = "") -> Done:
    """Run `lbmaster ARGUMENTS --json`, whatever comes of it."""
    done = bench.lab.run(MASTER, f"lbmaster {arguments} --json", stdin=stdin, timeout=90, check=False)
    return Done(done.returncode, json.loads(done.stdout or "{}"), done.stderr)


def narrow(bench: Bench) -> dict[str, Any]:
    """A cluster file with one VIP."""
    return bench.file([WEB])


def wide(bench: Bench) -> dict[str, Any]:
    """The same with a second VIP, and a service on it."""
    vips = {"web": f"{VIP}/24", "added": {"address": f"{ADDED}/24", "instance": "web"}}
    return bench.file([WEB, WEB | {"vip": "added"}], vips=vips)


def push(bench: Bench, file: dict[str, Any], options: str = "") -> Done:
    """Push it with these options, whatever comes of it."""
    return ask_master(bench, f"push {options} -", json.dumps(file))


@contextmanager
def pushing(bench: Bench, file: dict[str, Any], options: str) -> Iterator[Future[Done]]:
    """Push it while the block runs; what has not ended by then is aborted."""
    with ThreadPoolExecutor(1) as pool:
        pushed = pool.submit(push, bench, file, options)
        try:
            yield pushed
        finally:
            if not pushed.done():
                bench.lab.run(MASTER, "lbmaster rollout abort", check=False)


@contextmanager
def without(bench: Bench, host: str, unit: str) -> Iterator[None]:
    """Stop a service of a host while the block runs; the host is in order when it begins and again when it ends."""
    bench.hosts.until(lambda: in_order(bench, host), f"{host} is in order")
    bench.hosts.out(host, f"systemctl stop {unit}")
    try:
        yield
    finally:
        bench.hosts.out(host, f"systemctl start {unit}")
        bench.hosts.until(lambda: in_order(bench, host), f"{host} is in order again")


@contextmanager
def frozen(bench: Bench, host: str) -> Iterator[None]:
    """Stop the process of the host's minion in its tracks while the block runs."""
    bench.hosts.out(host, "systemctl kill --kill-whom=main -s STOP lbminion")
    try:
        yield
    finally:
        bench.hosts.out(host, "systemctl kill --kill-whom=main -s CONT lbminion")
        bench.hosts.until(lambda: in_order(bench, host), f"{host} is in order again")


def in_order(bench: Bench, host: str) -> bool:
    """Whether the host is there, has what is in force, without drift, and takes part in every election if it is a director."""
    status = bench.hosts.status()
    seen = status["hosts"][host]
    taking_part = host not in (D1, D2) or {it["state"] for it in seen["roles"].values()} <= {"MASTER", "BACKUP"}
    return bool(seen["online"] and seen["applied"] == status["released"] and not seen["drift"] and taking_part)


def decided(bench: Bench) -> list[tuple[str, ...]]:
    """What `lbmaster status` says that operators have decided: kind, what, who, why."""
    return [tuple(it[key] for key in ("kind", "what", "by", "reason")) for it in bench.hosts.status()["interventions"]]


def acted(bench: Bench, since: int) -> list[tuple[str, ...]]:
    """Who did what, and why, by the journal: verb, who, reason."""
    events = [it["data"] for it in bench.hosts.events(since) if it["type"] == "operator.acted"]
    return [tuple(it[key] for key in ("verb", "by", "reason")) for it in events]


def on_lo(bench: Bench) -> list[str]:
    """The real servers that have the second VIP."""
    return [host for host in (R1, R2) if bench.hosts.has_vip(host, ADDED)]


def weights(bench: Bench, real_server: str) -> list[str]:
    """The weight of a real server in the kernel of each director."""
    address = bench.addresses[real_server]["address"]
    return [line.split()[-1] for host in (D1, D2) for line in bench.table(host) if f"-r {address}:" in line]


def paused(bench: Bench) -> dict[str, Any] | None:
    """What `lbmaster rollout status` says of a rollout that waits for somebody."""
    rollout = ask_master(bench, "rollout status").answer["clusters"][CLUSTER]
    return rollout if rollout and rollout["phase"] == "paused" else None


# --- what operators decide ----------------------------------------------------------------------------------------------


def test_an_evacuated_director_holds_nothing_until_that_ends(bench: Bench) -> None:
    """Its VIP is on the other one when the command ends, and at home again after --end; nobody is refused meanwhile."""
    bench.push(narrow(bench))
    try:
        done = ask_master(bench, f"evacuate {D1} --reason 'new kernel' --by ann")
        assert (done.code, done.answer["moved"], done.answer["holds"]) == (0, True, []), done
        assert [bench.hosts.has_vip(host, VIP) for host in (D1, D2)] == [False, True]
        assert decided(bench) == [("evacuation", D1, "ann", "new kernel")]
        assert bench.ask().failed == {}
    finally:
        done = ask_master(bench, f"evacuate {D1} --end")
        bench.hosts.until(lambda: bench.holds(D1), "the VIP is home again")
    assert done.code == 0, done
    assert [bench.hosts.has_vip(host, VIP) for host in (D1, D2)] == [True, False]
    assert decided(bench) == []
    assert bench.ask().failed == {}


def test_maintenance_names_who_works_on_a_host_and_why_until_it_ends(bench: Bench) -> None:
    """In the journal and in status; the real server gets nothing new meanwhile. Without a reason it is refused."""
    bench.push(narrow(bench))
    since = bench.hosts.cursor()
    assert bench.lab.run(MASTER, f"lbmaster maintenance {R1} on --by ann", check=False).returncode != 0
    assert weights(bench, R1) == ["1", "1"]
    try:
        assert ask_master(bench, f"maintenance {R1} on --by ann --reason 'new disk'").code == 0
        assert weights(bench, R1) == ["0", "0"]
        assert decided(bench) == [("maintenance", R1, "ann", "new disk")]
        (line,) = [it for it in bench.hosts.lbmaster("status").splitlines() if it.startswith("maintenance\t")]
        assert line.split("\t")[1] == R1
        assert line.split("\t")[-2:] == ["ann", "new disk"]
        seen = bench.ask()
        assert (dict(seen.failed), set(seen.answered)) == ({}, {R2})
    finally:
        done = ask_master(bench, f"maintenance {R1} off --by bob")
    assert done.code == 0, done
    assert decided(bench) == []
    assert acted(bench, since)[-2:] == [
        ("maintenance", "root (says: ann)", "new disk"),
        ("maintenance", "root (says: bob)", ""),
    ]
    bench.shared()


@pytest.mark.parametrize(
    ("unit", "reason"),
    [("keepalived", "web: it has left the election"), ("lbminion", "its minion is not heard of")],
)
def test_a_switchover_to_an_unfit_director_is_refused_and_moves_nothing(bench: Bench, unit: str, reason: str) -> None:
    """One without keepalived, and one whose minion is dead: the refusal says which, and no generation is used."""
    bench.push(narrow(bench))
    with without(bench, D2, unit):
        bench.hosts.until(lambda: not in_order(bench, D2), f"the master knows of {D2}")
        generation = bench.hosts.status()["generation"]
        done = ask_master(bench, f"switchover web --to {D2}")
        assert (done.code, done.refused) == (1, "unfit"), done
        assert f"{D2} is not fit" in done.said
        assert reason in done.said
        status = bench.hosts.status()
        assert (status["generation"], status["interventions"]) == (generation, [])
        assert bench.holds(D1)
        assert [bench.hosts.has_vip(host, VIP) for host in (D1, D2)] == [True, False]
        assert bench.ask().failed == {}


# --- how they roll out --------------------------------------------------------------------------------------------------


def test_a_push_that_waits_behind_its_canary_can_be_taken_back(bench: Bench) -> None:
    """The other real server is untouched, a second push is refused and names the first; after the abort all is as before."""
    before = bench.push(narrow(bench))["generation"]
    with pushing(bench, wide(bench), PAUSED) as pushed:
        rollout, _ = bench.hosts.until(lambda: paused(bench), "the push waits behind its canary")
        assert (rollout["wave"], rollout["waves"][0]) == (1, {"purpose": "canary", "hosts": [R1]})
        assert rollout["hosts"] == {R1: "applied"} | dict.fromkeys((R2, D1, D2), "staged")
        assert on_lo(bench) == [R1]
        second = push(bench, narrow(bench))
        assert (second.code, second.refused) == (1, "busy"), second
        assert f"generation {rollout['generation']} of {CLUSTER} is being rolled out (push by " in second.said
        assert bench.ask().failed == {}
        assert ask_master(bench, "rollout abort --reason 'wrong file'").code == 0
        done = pushed.result()
    assert (done.code, done.answer["outcome"]) == (1, "rolled_back"), done
    back = done.answer["rollback"]
    assert (back["content_of"], back["outcome"], back["problems"]) == (before, "converged", {})
    assert on_lo(bench) == []
    bench.shared()


def test_a_push_goes_on_when_somebody_resumes_it(bench: Bench) -> None:
    """All the others have it, too, and nothing is on its way any more."""
    bench.push(narrow(bench))
    with pushing(bench, wide(bench), PAUSED) as pushed:
        bench.hosts.until(lambda: paused(bench), "the push waits behind its canary")
        assert ask_master(bench, "rollout resume").code == 0
        done = pushed.result()
    assert (done.code, done.answer["outcome"]) == (0, "converged"), done
    assert bench.hosts.status()["rollout"] is None
    assert on_lo(bench) == [R1, R2]
    assert bench.ask(ADDED).failed == {}
    assert bench.ask().failed == {}


def test_a_host_that_does_not_apply_in_time_has_the_push_taken_back(bench: Bench) -> None:
    """Its wave fails when --wave-timeout is over; the others go back without it, and it follows when it is there again."""
    before = bench.push(narrow(bench))["generation"]
    with pushing(bench, wide(bench), f"{PAUSED} --wave-timeout 3s") as pushed:
        bench.hosts.until(lambda: paused(bench), "the push waits behind its canary")
        assert on_lo(bench) == [R1]
        with frozen(bench, R2):
            assert '"result"' in bench.hosts.out(MASTER, "python3 -", stdin=RESUME)
            done = pushed.result()
            assert (done.code, done.answer["outcome"]) == (1, "failed"), done
            # Its lease goes on meanwhile: where commands take seconds, that it is lost may come first.
            problem = done.answer["hosts"][R2]["problem"]
            assert problem.startswith(("was released and has not applied in time", "was released, and lost")), problem
            assert {done.answer["hosts"][host]["state"] for host in (D1, D2)} == {"staged"}, done
            back = done.answer["rollback"]
            assert (back["content_of"], list(back["problems"])) == (before, [R2]), back
            assert on_lo(bench) == []
    assert bench.hosts.status()["hosts"][R2]["applied"] == back["generation"]
    assert on_lo(bench) == []
    bench.shared()


def test_a_push_goes_through_without_a_host_that_may_be_missing(bench: Bench) -> None:
    """Before anything is touched, it is refused unless the absent host is named; what that one missed, it gets when it is back."""
    bench.push(narrow(bench))
    with without(bench, R2, "lbminion"):
        bench.hosts.until(lambda: not in_order(bench, R2), f"{R2} is lost")
        generation = bench.hosts.status()["generation"]
        refused = push(bench, wide(bench))
        assert refused.code == 1
        assert f"not there: {R2}" in refused.said
        assert bench.hosts.status()["generation"] == generation
        assert on_lo(bench) == []
        done = push(bench, wide(bench), f"--allow-missing {R2}")
        assert (done.code, done.answer["outcome"], done.answer["missing"]) == (0, "converged", [R2]), done
        assert on_lo(bench) == [R1]
        assert bench.ask().failed == {}
    assert bench.hosts.status()["hosts"][R2]["applied"] == done.answer["generation"]
    assert on_lo(bench) == [R1, R2]
    assert bench.ask(ADDED).failed == {}


def test_an_earlier_file_comes_back_and_history_tells_how(bench: Bench) -> None:
    """`diff` shows what two pushes differ in; `rollback` puts the first one's file in force under a new number."""
    first = push(bench, narrow(bench), "--reason 'ticket 1' --below-floor").answer["generation"]
    second = push(bench, wide(bench), "--reason 'ticket 2'").answer["generation"]
    difference = ask_master(bench, f"diff {first} {second}").answer
    assert any(line.startswith("+") and ADDED in line for line in difference["file"]), difference
    assert difference["states"]
    done = ask_master(bench, f"rollback {first} --reason 'too much'")
    assert (done.code, done.answer["outcome"]) == (0, "converged"), done
    third = done.answer["generation"]
    assert third > second
    assert [host for host in (D1, D2) if any(ADDED in line for line in bench.table(host))] == []
    assert on_lo(bench) == []
    told = ask_master(bench, "history").answer
    assert told["released"] == third
    seen = {it["generation"]: (it["kind"], it["status"], it["reason"]) for it in told["generations"]}
    assert seen[first] == ("push", "converged", "ticket 1")
    assert seen[second] == ("push", "converged", "ticket 2")
    assert seen[third] == ("rollback", "converged", "too much")
    assert bench.ask().failed == {}
