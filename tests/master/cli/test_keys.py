from __future__ import annotations

from typing import Any

import pytest
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Master

FINGERPRINT = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst"
KEYS: list[dict[str, Any]] = [
    {"name": "netology1", "fingerprint": FINGERPRINT, "state": "accepted", "since": 1700000000.0, "last_seen": 0.5,
     "address": "172.28.128.10"},
    {"name": "netology2", "fingerprint": FINGERPRINT, "state": "pending", "since": 1700000000.0, "last_seen": None,
     "address": "172.28.128.20"},
]  # fmt: skip


def test_list_shows_pending_keys_first(master: Master, run: Run) -> None:
    """They wait for a decision."""
    master.answers["keys.list"] = [{"result": {"keys": KEYS}}]

    lines = run("keys", "list").stdout.splitlines()

    assert lines[0] == "NAME\tSTATE\tSEEN\tSINCE\tADDRESS\tFINGERPRINT\tROLE"
    assert [line.split("\t")[:3] for line in lines[1:]] == [
        ["netology2", "pending", "never"],
        ["netology1", "accepted", "500 ms ago"],
    ]


@pytest.mark.parametrize("verb", ["accept", "reject", "revoke"])
def test_decisions_take_names_and_fingerprints(master: Master, run: Run, verb: str) -> None:
    """Several at once; a fingerprint is told from a name by its 52 characters."""
    master.answers[f"keys.{verb}"] = [{"result": {}}]

    result = run("keys", verb, "netology1", FINGERPRINT)

    assert result.exit_code == 0
    assert master.requests == [
        {"verb": f"keys.{verb}", "name": "netology1"},
        {"verb": f"keys.{verb}", "fingerprint": FINGERPRINT},
    ]


def test_an_unknown_key_stops_there(master: Master, run: Run) -> None:
    """Exit code 1, with the master's reason."""
    master.answers["keys.accept"] = [{"error": {"kind": "unknown_key", "text": "no key of netolgy1"}}]

    result = run("keys", "accept", "netolgy1", "netology2")

    assert (result.exit_code, result.stderr) == (1, "Error: no key of netolgy1\n")
    assert len(master.requests) == 1


def test_token_is_all_there_is_on_standard_output(master: Master, run: Run) -> None:
    """So that TOKEN=$(lbmaster keys token) works."""
    master.answers["keys.token"] = [{"result": {"token": "s3cret-token", "expires": 1700000000.0}}]

    result = run("keys", "token", "--ttl", "30m", "--name", "netology1")

    assert result.stdout == "s3cret-token\n"
    assert master.requests == [{"verb": "keys.token", "ttl": 1800.0, "name": "netology1"}]


@pytest.mark.parametrize("ttl", ["soon", "0", "-5", "1w", ""])
def test_a_wrong_duration_is_a_usage_error(run: Run, ttl: str) -> None:
    """Exit code 2, with examples of right ones."""
    result = run("keys", "token", "--ttl", ttl)

    assert (result.exit_code, "30s, 15m, 1h or 2d" in result.stderr) == (2, True)
