"""`lbmaster doctor`: what it prints, and its exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Master

SYMPTOM = {
    "id": "R11", "severity": "error", "subject": "tcp 10.0.0.100:80", "seen": "on 10.0.0.11:80 only",
    "means": "refused", "repair": "listen on all",
}  # fmt: skip


def answer(hosts: dict[str, Any], *between: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"result": {"clusters": {"web": {"hosts": hosts, "between": list(between)}}}}]


def test_symptoms_are_shown_with_host_meaning_and_repair(master: Master, run: Run) -> None:
    """What shows between hosts first; an error gives exit code 1."""
    between = SYMPTOM | {"id": "V1", "subject": "www", "hosts": ["d1", "d2"]}
    master.answers["doctor"] = answer({"r1": {"symptoms": [SYMPTOM]}, "r2": {"symptoms": []}}, between)
    result = run("doctor", "web")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "web: d1, d2: error V1 www: on 10.0.0.11:80 only",
        "    means:  refused",
        "    repair: listen on all",
        "web: r1: error R11 tcp 10.0.0.100:80: on 10.0.0.11:80 only",
        "    means:  refused",
        "    repair: listen on all",
        "2 hosts examined: 2 errors.",
    ]
    assert master.requests[-1] == {"verb": "doctor", "cluster": "web", "timeout": 12.0}


@pytest.mark.parametrize(
    ("host", "code", "last"),
    [
        ({"symptoms": []}, 0, "1 host examined: nothing is wrong."),
        ({"symptoms": [SYMPTOM | {"severity": "warning"}]}, 0, "1 host examined: 1 warning."),
        ({"symptoms": [SYMPTOM | {"severity": "info"}]}, 0, "1 host examined: 1 to know."),
        ({"silent": True, "symptoms": []}, 1, "0 of 1 host examined: nothing was found."),
        ({"error": "no ip_vs", "symptoms": []}, 1, "0 of 1 host examined: nothing was found."),
    ],
)
def test_the_exit_code_says_whether_there_is_an_error(
    master: Master, run: Run, host: dict[str, Any], code: int, last: str
) -> None:
    """Warnings are none; a host that could not be examined is one."""
    master.answers["doctor"] = answer({"r1": host})
    result = run("doctor")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (code, last)


def test_what_comes_from_the_network_cannot_act_on_a_terminal(master: Master, run: Run) -> None:
    """Control characters are escaped."""
    master.answers["doctor"] = answer({"r1": {"symptoms": [SYMPTOM | {"seen": "\x1b[2Jx\ny"}]}})
    assert "\\x1b[2Jx\\ny" in run("doctor").stdout


def test_json_is_what_the_master_answers(master: Master, run: Run) -> None:
    """With the same exit code."""
    master.answers["doctor"] = answer({"r1": {"symptoms": [SYMPTOM]}})
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == master.answers["doctor"][0]["result"]  # type: ignore[index]


def test_an_answer_of_another_release_is_said(master: Master, run: Run) -> None:
    """Nothing is guessed."""
    master.answers["doctor"] = [{"result": {"clusters": []}}]
    result = run("doctor")
    assert result.exit_code == 1
    assert "same release" in result.stderr
