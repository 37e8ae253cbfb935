"""drain, undrain, switchover, evacuate, maintenance: what is asked, what is shown, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
import pytest
from tests.master.cli import examples
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Json, Master

from lbmaster.cli import drain as drain_command
from lbmaster.cli.drain import parse_target

OPTIONS = {"force": False, "allow_missing": [], "timeout": 60.0}


def _decided(**fields: Any) -> dict[str, Any]:
    drain = {"kind": "drain", "what": "netology1", "by": "ann@desk", "reason": "new disk", "since": 1699999820.0}
    return {**drain, "deadline": 300.0, "services": {"tcp 172.28.128.200:80": [0, 0]}, "connections": 0, **fields}


def _status(*decided: dict[str, Any]) -> dict[str, Any]:
    status = examples.status(netology1=examples.host())
    status["clusters"]["netology"]["interventions"] = list(decided)
    return status


def _counting_down(*counts: int | None) -> Callable[[Json], list[Json]]:
    """Answer `status` with one count of connections after the other."""
    left = list(counts)

    def answer(_: Json) -> list[Json]:
        now = left.pop(0) if len(left) > 1 else left[0]
        services = {"tcp 172.28.128.200:80": [now or 0, 7]}
        return [{"result": _status(_decided(connections=now, services=services, done=now == 0))}]

    return answer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_command, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(drain_command, "SETTLED_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("text", "host", "vip", "port"),
    [
        ("r1", "r1", None, None),
        ("r1:web", "r1", "web", None),
        ("r1:web:443", "r1", "web", 443),
        ("r1:10.0.0.100:80", "r1", "10.0.0.100", 80),
        ("r1:fd00::1", "r1", "fd00::1", None),
        ("r1:[fd00::1]:80", "r1", "fd00::1", 80),
        ("r1:[fd00::1]", "r1", "fd00::1", None),
    ],
)
def test_a_target_is_a_host_a_vip_and_a_port(text: str, host: str, vip: str | None, port: int | None) -> None:
    assert parse_target(text) == {"host": host, "vip": vip, "port": port}


@pytest.mark.parametrize(
    "text", ["", ":web", "r1:", "r1:web:", "r1:web:http", "r1:[fd00::1", "r1:[fd00::1]80", "r1:web:-1"]
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_target(text)


def test_drain_shows_connections_going_down(master: Master, run: Run) -> None:
    """One line whenever their number changes; exit code 0 when none is left."""
    master.answers["drain"] = [{"result": {**examples.PUSHED, "what": "netology1"}}]
    master.answers["status"] = _counting_down(12, 12, 3, 0)

    result = run("drain", "netology1", "--reason", "new disk", "--by", "ann@desk", "--deadline", "10s")

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "netology1 is drained: generation 7 of netology.",
        "12 connections left",
        "3 connections left",
    ]
    assert lines[-1].startswith("netology1 has no connections any more, after ")
    asked = {"verb": "drain", "host": "netology1", "deadline": 10.0, "by": "ann@desk", "reason": "new disk", **OPTIONS}
    assert master.requests[0] == asked


@pytest.mark.parametrize(("left", "said"), [(3, "3 connections"), (None, "an unknown number of connections")])
def test_drain_ends_with_1_when_connections_are_left(left: int | None, said: str, master: Master, run: Run) -> None:
    """The deadline ends the waiting, not the drain."""
    master.answers["drain"] = [{"result": {**examples.PUSHED, "what": "netology1"}}]
    master.answers["status"] = _counting_down(left)

    result = run("drain", "netology1", "--deadline", "1")

    assert result.exit_code == 1
    assert f"netology1 has {said} left after" in result.stdout
    assert result.stdout.rstrip().endswith("it stays drained.")


def test_drain_without_deadline_does_not_wait(master: Master, run: Run) -> None:
    master.answers["drain"] = [{"result": {**examples.PUSHED, "what": "netology1:web"}}]

    result = run("drain", "netology1:web", "--deadline", "0", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["what"] == "netology1:web"
    assert [request["verb"] for request in master.requests] == ["drain"]


def test_drain_says_that_somebody_ended_it(master: Master, run: Run) -> None:
    master.answers["drain"] = [{"result": {**examples.PUSHED, "what": "netology1"}}]
    master.answers["status"] = [{"result": _status()}]

    result = run("drain", "netology1")

    assert result.exit_code == 1
    assert "netology1 is not drained any more" in result.stdout


def test_what_the_master_refuses_is_told(master: Master, run: Run) -> None:
    error = {"kind": "below_floor", "text": "tcp 172.28.128.200:80: 0 of 2 real servers would be left"}
    master.answers["drain"] = [{"error": error}]

    result = run("drain", "netology1", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["kind"] == "below_floor"
    assert "0 of 2 real servers would be left" in result.stderr


def test_undrain_says_so(master: Master, run: Run) -> None:
    master.answers["undrain"] = [{"result": {**examples.PUSHED, "what": "netology1"}}]

    result = run("undrain", "netology1", "--by", "ann")

    assert (result.exit_code, result.stdout) == (0, "netology1 takes connections: generation 7.\n")
    assert master.requests == [{"verb": "undrain", "host": "netology1", "by": "ann", "reason": "", **OPTIONS}]


MOVED = {
    **examples.PUSHED,
    "what": "web to netology4",
    "from": "netology3",
    "to": "netology4",
    "moved": True,
    "took": 3.61,
}


def test_switchover_says_from_where_to_where_and_how_long(master: Master, run: Run) -> None:
    master.answers["switchover"] = [{"result": MOVED}]

    result = run("switchover", "web", "--to", "netology4", "--by", "ann", "--force")

    assert (result.exit_code, result.stdout) == (0, "web moved from netology3 to netology4 in 3.6 s.\n")
    (request,) = master.requests
    assert (request["vip"], request["to"], request["back"], request["force"]) == ("web", "netology4", False, True)


def test_switchover_that_was_taken_back_fails(master: Master, run: Run) -> None:
    """And says who holds it."""
    stuck = {**MOVED, "outcome": "failed", "moved": False, "holds": "netology3", "taken_back": True}
    master.answers["switchover"] = [{"result": stuck}]

    result = run("switchover", "web")

    assert result.exit_code == 1
    assert result.stdout == "web has not moved to netology4: it is held by netology3; that was taken back.\n"


def test_switchover_that_was_overtaken_recommends_nothing_that_would_end_the_later_one(
    master: Master, run: Run
) -> None:
    """Only what may still be in force is to be ended."""
    stuck = {**MOVED, "outcome": "failed", "moved": False, "holds": "netology5", "taken_back": False}
    said = []
    for overtaken in (True, False):
        master.answers["switchover"] = [{"result": {**stuck, "overtaken": overtaken}}]
        said.append(run("switchover", "web").stdout)

    assert "somebody has decided otherwise meanwhile, and that stays" in said[0]
    assert ["--back" in one for one in said] == [False, True]


def test_switchover_back(master: Master, run: Run) -> None:
    master.answers["switchover"] = [{"result": {**MOVED, "to": "netology3"}}]

    assert run("switchover", "web", "--back").stdout == "web stays on netology3: generation 7.\n"
    assert run("switchover", "web", "--back", "--to", "netology4").exit_code == 2


def test_a_rollout_that_failed_is_shown(master: Master, run: Run) -> None:
    """Whichever of the commands began it."""
    hosts = {"netology3": {"state": "refused", "problem": "stage: no such interface"}}
    failed = {**examples.PUSHED, "outcome": "failed", "hosts": hosts, "what": "web"}
    for verb, arguments in {
        "drain": ["netology1"],
        "undrain": ["netology1"],
        "switchover": ["web"],
        "evacuate": ["netology3"],
        "maintenance": ["netology3", "on", "--reason", "x"],
    }.items():
        master.answers[verb] = [{"result": failed}]
        result = run(verb, *arguments)
        assert result.exit_code == 1
        assert "no such interface" in result.stdout


NOTES: list[Json] = [
    {"note": {"phase": "staging", "generation": 7, "hosts": ["netology1", "netology3"]}},
    {"note": {"phase": "released", "generation": 7, "host": "netology3", "wave": 1, "purpose": "standby director"}},
    {"note": {"phase": "watching", "generation": 7, "wave": 1, "waiting": ["netology3: first verdicts of web"]}},
    {"note": {"phase": "alive"}},
    {"note": {"phase": "converged", "generation": 7}},
    {"note": {"phase": "moving"}},
    {"note": {"phase": "taking back", "error": "web is held by netology3\x1b[2J"}},
]
WAITED_FOR = """\
staging, generation 7, 2 hosts
wave 1: watching: netology3: first verdicts of web
waiting for VIPs to move
taking back: web is held by netology3\\x1b[2J
"""


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("drain", ["netology1", "--deadline", "0"]),
        ("undrain", ["netology1"]),
        ("switchover", ["web"]),
        ("evacuate", ["netology3"]),
        ("maintenance", ["netology3", "off"]),
    ],
)
def test_what_is_waited_for_is_shown_beside_the_answer(
    verb: str, arguments: list[str], master: Master, run: Run
) -> None:
    """On standard error, so that the answer stays what it is; with --json nothing but the answer is written."""
    master.answers[verb] = [*NOTES, {"result": MOVED}]

    result = run(verb, *arguments)
    assert (result.exit_code, result.stderr) == (0, WAITED_FOR)
    assert result.stdout.count("\n") == 1

    result = run(verb, *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["generation"] == 7


@pytest.mark.parametrize(
    ("answer", "arguments", "code", "said"),
    [
        ({"moved": True, "took": 3.6}, [], 0, "netology3 holds nothing any more, after 3.6 s.\n"),
        (
            {"moved": False, "took": 9.0, "holds": ["web"]},
            [],
            1,
            "netology3 still holds web after 9.0 s; see lbmaster status.\n",
        ),
        ({"moved": True}, ["--end"], 0, "netology3 may hold VIPs again: generation 7.\n"),
    ],
)
def test_evacuate_says_what_is_left(
    answer: dict[str, Any], arguments: list[str], code: int, said: str, master: Master, run: Run
) -> None:
    master.answers["evacuate"] = [{"result": {**examples.PUSHED, "what": "netology3", **answer}}]

    result = run("evacuate", "netology3", *arguments)

    assert (result.exit_code, result.stdout) == (code, said)
    assert master.requests[0]["end"] is bool(arguments)


def test_maintenance_needs_a_reason(master: Master, run: Run) -> None:
    """To end it, none."""
    master.answers["maintenance"] = [{"result": {**examples.PUSHED, "what": "netology1 on"}}]

    assert run("maintenance", "netology1", "on").exit_code == 2
    on = run("maintenance", "netology1", "on", "--reason", "new disk")
    assert on.stdout == "netology1 is in maintenance: generation 7 of netology.\n"
    off = run("maintenance", "netology1", "off")
    assert off.stdout == "netology1 is back at work: generation 7 of netology.\n"
    assert [(request["on"], request["reason"]) for request in master.requests] == [(True, "new disk"), (False, "")]


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"done": True}, "none"),
        ({"connections": 12}, "12 connections"),
        ({"connections": 1, "overdue": True}, "OVERDUE: 1 connection"),
        ({"connections": None}, "UNKNOWN"),
        ({"kind": "maintenance", "connections": 2, "holds": ["web"]}, "holds web, 2 connections"),
        ({"kind": "evacuation", "connections": None, "holds": ["web"]}, "holds web"),
        ({"kind": "evacuation", "connections": None, "done": True}, "none"),
        ({"kind": "switchover", "connections": None, "holds": ["netology4"], "done": True}, "none"),
        ({"kind": "switchover", "connections": None, "holds": ["netology3"]}, "HELD BY netology3"),
    ],
)
def test_status_shows_what_was_decided_and_what_is_left(
    fields: dict[str, Any], left: str, master: Master, run: Run
) -> None:
    """Who, why, and since when."""
    master.answers["status"] = [{"result": _status(_decided(**fields)) | {"time": 1700000000.0}}]

    lines = run("status").stdout.splitlines()

    assert lines[-2] == "DECIDED\tWHAT\tLEFT\tSINCE\tBY\tWHY"
    kind = fields.get("kind", "drain")
    assert lines[-1] == f"{kind}\tnetology1\t{left}\t3 min ago\tann@desk\tnew disk"


def test_a_host_in_maintenance_may_be_away(master: Master, run: Run) -> None:
    """It is no trouble, and is not in capitals."""
    status = _status(_decided(kind="maintenance", done=True))
    status["clusters"]["netology"]["hosts"]["netology1"].update(online=False, last_seen=75.0)
    master.answers["status"] = [{"result": status}]

    output = run("status").stdout

    assert "all as they shall be" in output
    assert "away, 1 min ago" in output
    assert "LOST" not in output
