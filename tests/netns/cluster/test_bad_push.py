"""A push that hurts, with real minions: it is stopped, and every host is as before."""

from __future__ import annotations

from typing import Any

import pytest

from .place import CLUSTER, Place
from .test_health import CHECK, VIP, Web, push, webs, weights

__all__ = ["webs"]  # the fixture

OTHER_PORT = CHECK.replace("tcp: {}", "tcp: {}, port: 8081")
NO_PATH = CHECK.replace("tcp: {}", "http: {path: /there-is-no-such-page}")


def ask(place: Place, webs: list[Web], check: str, more: str = "") -> dict[str, Any]:
    text = place.cluster_file(*(web.host for web in webs)) + more + check
    return place.ask("push", text=text, file="bad.yaml", by="test", timeout=60, options={"below_floor": True})


def applied(place: Place) -> set[int]:
    """The generations that are in force on hosts, as their samples say."""
    hosts = place.ask("status", cluster=CLUSTER)["clusters"][CLUSTER]["hosts"]
    return {host["applied"] for host in hosts.values()}


@pytest.mark.parametrize("bad", [OTHER_PORT, NO_PATH], ids=["another port", "another kind"])
def test_a_check_that_cannot_pass_is_taken_back(place: Place, webs: list[Web], bad: str) -> None:
    """The director that has it says that every destination fails; nobody is out afterwards."""
    push(place, *webs)
    director = place.hosts["d1"]
    director.until(lambda: set(weights(place).values()) == {1}, "both take connections")
    since = place.cursor()
    answer = ask(place, webs, bad)
    assert answer["outcome"] == "rolled_back", answer
    assert any("fails its check" in said or "too many" in said for said in answer["gate"]), answer["gate"]
    (back,) = place.events("push.rolled_back", since=since)
    assert back["data"]["outcome"] == "converged"
    director.until(lambda: set(weights(place).values()) == {1}, "both take connections again")
    wanted = {answer["rollback"]["generation"]}
    director.until(lambda: applied(place) == wanted, "every host has the old content again")


def test_a_new_service_that_nobody_answers_is_taken_back(place: Place, webs: list[Web]) -> None:
    """It is gone again, and the old one was never touched."""
    push(place, *webs)
    director = place.hosts["d1"]
    director.until(lambda: set(weights(place).values()) == {1}, "both take connections")
    since = place.cursor()
    answer = ask(place, webs, CHECK, "  - {vip: www, port: 82}\n")
    assert answer["outcome"] == "rolled_back", answer
    assert all(f"{VIP}:82" in said for said in answer["gate"])
    assert not director.events("drift.found", since=since)
    director.until(lambda: list(weights(place).values()) == [1, 1], "only the old one is there, as it was")
