"""`rollout`, `history`, `diff`, `rollback`, and the options of a push: what is asked, and what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.master.cli import examples
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Master

ROLLED_BACK: dict[str, Any] = {
    "cluster": "netology", "generation": 7, "outcome": "rolled_back", "seconds": 2.0,
    "hosts": {
        "netology1": {"state": "applied", "steps": [examples.ADD], "problem": ""},
        "netology4": {"state": "staged", "steps": [], "problem": "not released, because the gate did not pass"},
    },
    "gate": ["netology3: fails its check: tcp 172.28.128.200:80 -> 172.28.128.10:80 (status 404)"],
    "rollback": {"generation": 8, "content_of": 6, "outcome": "converged", "problems": {}},
}  # fmt: skip
NOTES: list[dict[str, Any]] = [
    {"note": {"phase": "queued", "waiting": ["generation 6 is being rolled out"]}},
    {"note": {"phase": "staging", "generation": 7, "hosts": ["netology1"], "waves": [["netology1"]]}},
    {"note": {"phase": "released", "host": "netology1", "wave": 1, "purpose": "canary"}},
    {"note": {"phase": "watching", "wave": 1, "waiting": ["no verdict yet"]}},
    {"note": {"phase": "alive"}},
    {"note": {"phase": "paused", "wave": 1}},
    {"note": {"phase": "draining", "left": 3}},
    {"note": {"phase": "gate", "wave": 1, "problems": ["it hurts"]}},
    {"note": {"phase": "rolling back", "generation": 7, "content_of": 6, "error": "it hurts"}},
]
RUNNING: dict[str, Any] = {
    "clusters": {
        "netology": {
            "generation": 7, "kind": "push", "phase": "paused", "wave": 1, "waiting": [], "left": None,
            "waves": [
                {"purpose": "canary", "hosts": ["netology1"]},
                {"purpose": "standby director netology4", "hosts": ["netology4"]},
            ],
            "hosts": {"netology1": "applied", "netology4": "staged"},
        },
        "other": None,
    }
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    path.write_text(examples.CLUSTER_FILE)
    return str(path)


def test_a_push_that_hurts_says_what_and_that_it_went_back(master: Master, run: Run, file: str) -> None:
    """The exit code is 1; the steps of what is not in force are not listed."""
    master.answers["push"] = [*NOTES, {"result": ROLLED_BACK}]
    result = run("push", file)
    assert result.exit_code == 1
    assert result.stdout == (
        "queued: generation 6 is being rolled out\n"
        "staging, generation 7, 1 host\n"
        "netology1: released, wave 1 (canary)\n"
        "wave 1: watching: no verdict yet\n"
        "paused behind wave 1: go on with lbmaster rollout resume, or abort\n"
        "draining what is removed: 3 connections left\n"
        "wave 1 hurts: it hurts\n"
        "rolling back to the content of generation 6: it hurts\n"
        "netology4: staged: not released, because the gate did not pass\n"
        "HURTS: netology3: fails its check: tcp 172.28.128.200:80 -> 172.28.128.10:80 (status 404)\n"
        "Rolled back: generation 7 of netology is not in force anywhere; generation 8 has the content of 6 again, "
        "on every host.\n"
    )


def test_a_rollback_that_some_host_did_not_follow_names_it(master: Master, run: Run, file: str) -> None:
    """Nobody shall think that everything is as before."""
    rollback = {"generation": 8, "content_of": 6, "outcome": "failed", "problems": {"netology1": "disk full"}}
    master.answers["push"] = [{"result": {**ROLLED_BACK, "outcome": "failed", "rollback": rollback}}]
    result = run("push", file)
    assert result.exit_code == 1
    assert "netology1: did not go back: disk full\n" in result.stdout


def test_the_options_of_a_push_reach_the_master(master: Master, run: Run, file: str) -> None:
    """What is not given is left to the master."""
    master.answers["push"] = [{"result": examples.PUSHED}]
    options = (
        "--allow-missing", "netology1,netology2", "--allow-missing", "netology4", "--canary", "10%", "--pause", "canary",
        "--drain", "0", "--wave-timeout", "20s", "--timeout", "2m", "--below-floor", "--no-gates", "--no-rollback",
        "--wait", "--switch-first", "--reason", "ticket 7",
    )  # fmt: skip
    assert run("push", file, *options).exit_code == 0
    (request,) = master.requests
    assert (request["timeout"], request["reason"]) == (120.0, "ticket 7")
    assert request["options"] == {
        "allow_missing": ["netology1", "netology2", "netology4"], "canary": "10%", "pause": "canary", "drain": 0.0,
        "wave_timeout": 20.0, "switch_first": True, "below_floor": True, "gates": False, "rollback": False, "wait": True,
    }  # fmt: skip
    master.requests.clear()
    run("push", file)
    assert master.requests[0]["options"] == {"drain": 30.0}


@pytest.mark.parametrize("share", ["half", "0", "0%", "101%", "-1", "%", "1000000", "1.5", "²"])
def test_a_share_that_makes_no_sense_is_refused_before_the_master_is_asked(
    master: Master, run: Run, file: str, share: str
) -> None:
    """With what would be right."""
    result = run("push", file, "--canary", share)
    assert (result.exit_code, master.requests) == (2, [])
    assert "such as 10%" in result.stderr


def test_missing_hosts_and_ended_drains_are_said(master: Master, run: Run, file: str) -> None:
    """A push that converged without somebody does not look as if it had everybody."""
    more = {"missing": ["netology2"], "dropped": ["drain of netology9"], "left": 2}
    master.answers["push"] = [{"result": {**examples.PUSHED, **more}}]
    result = run("push", file)
    assert result.exit_code == 0
    assert "netology2: missing, as was allowed: it catches up when it is back\n" in result.stdout
    assert "drain of netology9: ended, since the file has no place for it any more\n" in result.stdout
    assert "2 connections to what was removed did not end in time\n" in result.stdout


def test_status_shows_waves_and_what_is_waited_for(master: Master, run: Run) -> None:
    """Done, released, to come; and the way out of a pause."""
    master.answers["rollout.status"] = [{"result": RUNNING}]
    assert run("rollout", "status").stdout == (
        "Cluster netology: push, generation 7: paused\n"
        "  go on with lbmaster rollout resume, or take it back with lbmaster rollout abort\n"
        "WAVE\tPURPOSE\tSTATE\tHOSTS\n"
        "1\tcanary\treleased\tnetology1 applied\n"
        "2\tstandby director netology4\tto come\tnetology4 staged\n"
    )
    master.answers["rollout.status"] = [{"result": {"clusters": {"netology": None}}}]
    assert run("rollout", "status", "netology").stdout == "Nothing is being rolled out.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pause",), "Generation 7 of netology waits behind the present wave.\n"),
        (("resume", "netology"), "Generation 7 of netology goes on.\n"),
        (("abort",), "Generation 7 of netology is aborted, and taken back.\n"),
        (("abort", "--keep"), "Generation 7 of netology is aborted; every host stays as it is.\n"),
    ],
)
def test_deciding_about_a_rollout(master: Master, run: Run, words: tuple[str, ...], said: str) -> None:
    """The master is told who decides, and why."""
    master.answers[f"rollout.{words[0]}"] = [{"result": {"cluster": "netology", "generation": 7}}]
    assert run("rollout", *words, "--reason", "lunch").stdout == said
    assert (master.requests[0]["reason"], "@" in master.requests[0]["by"]) == ("lunch", True)


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        ({"stays": "kept", "file_of": 6}, "The file in force is that of generation 6: the next drain, "),
        ({"stays": "kept", "file_of": 0}, "Generation 7 of netology is aborted; every host stays as it is."),
        ({"stays": "no_rollback", "file_of": 6}, "The file in force is that of generation 6: the next drain, "),
        ({"stays": "not_released", "file_of": 6}, "Generation 7 of netology is aborted; it was released to no host."),
    ],
)
def test_an_abort_says_what_the_next_decision_would_take_back(
    master: Master, run: Run, answer: dict[str, Any], last: str
) -> None:
    """Only where a host may have another file than the one in force."""
    master.answers["rollout.abort"] = [{"result": {"cluster": "netology", "generation": 7, **answer}}]
    assert run("rollout", "abort", "--keep").stdout.splitlines()[-1].startswith(last)


def test_an_abort_of_a_push_that_takes_nothing_back_says_so(master: Master, run: Run) -> None:
    """Although nobody said --keep."""
    master.answers["rollout.abort"] = [{"result": {"cluster": "netology", "generation": 7, "stays": "no_rollback"}}]
    said = "Generation 7 of netology is aborted; --no-rollback asked for every host to stay as it is.\n"
    assert run("rollout", "abort").stdout == said


def test_history_names_who_why_and_what_came_of_it(master: Master, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one in force has a star."""
    monkeypatch.setenv("TZ", "UTC")
    rows: list[dict[str, Any]] = [
        {"generation": 8, "kind": "rollback", "status": "converged", "by": "ann@here", "content_of": 6},
        {"generation": 7, "kind": "push", "status": "rolled_back", "by": "ann@here", "reason": "ticket 7"},
        {"generation": 6, "kind": "drain", "status": "converged", "by": "bob", "interventions": ["drain r1"]},
    ]
    master.answers["history"] = [{"result": {"cluster": "netology", "released": 8, "generations": rows}}]
    lines = [line.split("\t") for line in run("history").stdout.splitlines()]
    assert [[line[0], *line[2:]] for line in lines] == [
        ["GENERATION", "KIND", "STATUS", "BY", "REASON", "IN FORCE"],
        ["8 *", "rollback to 6", "converged", "ann@here", "-", "-"],
        ["7", "push", "rolled back", "ann@here", "ticket 7", "-"],
        ["6", "drain", "converged", "bob", "-", "drain r1"],
    ]


def test_a_difference_has_three_parts(master: Master, run: Run) -> None:
    """File, decisions, states; or one sentence."""
    answer = {
        "cluster": "netology",
        "file": ["--- a", "+++ b", "-x"],
        "interventions": ["+ drain r1"],
        "states": ["s: 1 -> 2"],
    }
    master.answers["diff"] = [{"result": answer}]
    assert run("diff", "6", "7").stdout == (
        "--- a\n+++ b\n-x\nDecided by operators:\n  + drain r1\nDesired states:\n  ~ s: 1 -> 2\n"
    )
    master.answers["diff"] = [{"result": {"cluster": "netology"}}]
    assert run("diff", "6", "7").stdout == "No difference.\n"
    assert run("diff", "6", "0").exit_code == 2


def test_going_back_is_a_rollout_with_the_same_options(master: Master, run: Run) -> None:
    """It asks for a generation, and shows what a push shows."""
    master.answers["rollback"] = [{"result": examples.PUSHED}]
    result = run("rollback", "6", "--cluster", "netology", "--reason", "slow", "--no-gates")
    assert (result.exit_code, "Converged: generation 7" in result.stdout) == (0, True)
    (request,) = master.requests
    assert (request["generation"], request["cluster"], request["reason"]) == (6, "netology", "slow")
    assert request["options"]["gates"] is False
    assert run("rollback", "six").exit_code == 2
