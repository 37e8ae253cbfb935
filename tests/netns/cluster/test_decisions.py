"""Drains, switchovers and evacuations with real minions and a real keepalived on each director: what moves, and what stays.

The directors' IPVS tables are in their memory here; connections that survive are counted in tests/lab.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbmaster.client import RequestRefused

from .place import CLUSTER, VIP, Host, Place, until
from .test_health import weights

_numbers = itertools.count(2)


@pytest.fixture
def pair(place: Place, joined: Host, other: Host) -> Iterator[tuple[Host, Host]]:
    """Two directors of a cluster with two real servers, the first of which holds the VIP; what is decided ends after it."""
    second = place.host(f"d{next(_numbers)}")
    second.join()
    for host in (second, joined, other):
        host.start()
    first = place.hosts["d1"]
    push(place, first, second, joined, other)
    until(lambda: holder(place) == "d1", "d1 holds the VIP", 60)
    yield first, second
    for host in (first, second, joined, other):
        if host.process is None or host.process.poll() is not None:
            host.start()
    for it in decided(place):
        end(place, it)


def push(place: Place, first: Host, second: Host, *real_servers: Host) -> dict[str, Any]:
    """Push the cluster with both directors, and elections that are quick."""
    text = place.cluster_file(*real_servers)
    text = text.replace(f"  d1: {first.address}\n", f"  d1: {first.address}\n  {second.name}: {second.address}\n")
    text += "instances: {www: {home: d1}}\nvrrp: {advert_interval: 0.5}\n"
    answer = place.ask("push", text=text, file="web.yaml", by="test", timeout=90, options={"below_floor": True})
    assert answer["outcome"] == "converged", answer
    return answer


def decided(place: Place) -> list[dict[str, Any]]:
    """Read from status what operators have decided."""
    found: list[dict[str, Any]] = place.ask("status", cluster=CLUSTER)["clusters"][CLUSTER]["interventions"]
    return found


def end(place: Place, it: dict[str, Any]) -> None:
    """End what was decided."""
    match it["kind"]:
        case "drain":
            place.ask("undrain", host=it["what"])
        case "maintenance":
            place.ask("maintenance", host=it["what"], on=False)
        case "switchover":
            place.ask("switchover", vip="www", back=True)
        case "evacuation":
            place.ask("evacuate", director=it["what"], end=True)


def holder(place: Place) -> str | None:
    """Name who holds the VIP, as the master sees it."""
    (vip,) = place.ask("status", cluster=CLUSTER)["clusters"][CLUSTER]["vips"].values()
    found: str | None = vip["holder"]
    return found


def has_vip(host: Host) -> bool:
    """Look at the host itself."""
    return f" {VIP}/" in host.ip("-o", "address", "show", "dev", "eth0")


def keepalived(host: Host) -> tuple[str, str]:
    """Tell the process and the text that it has loaded."""
    return (host.runtime / "keepalived.pid").read_text(), (host.folder / "keepalived.conf").read_text()


def adjustment(host: Host) -> str:
    """Read the file that keepalived tracks."""
    return Path(host.state, "adjustments", "www").read_text()


def test_a_vip_is_switched_over_and_back_without_a_reload(place: Place, pair: tuple[Host, Host]) -> None:
    """The same processes, with the same files; only the adjustment of the chosen one changes."""
    first, second = pair
    before = [keepalived(host) for host in pair]
    answer = place.ask("switchover", vip="www", by="test", reason="why not")
    assert (answer["from"], answer["to"], answer["moved"]) == ("d1", second.name, True), answer
    assert not has_vip(first)
    assert has_vip(second)
    assert [adjustment(host) for host in pair] == ["0\n", "14\n"]
    back = place.ask("switchover", vip=VIP, back=True)
    assert (back["from"], back["to"], back["moved"]) == (second.name, "d1", True), back
    assert has_vip(first)
    assert [keepalived(host) for host in pair] == before
    assert "eload" not in (second.runtime / "keepalived.log").read_text().rpartition("Startup complete")[2]


def test_a_switchover_survives_minions_and_the_master(place: Place, pair: tuple[Host, Host]) -> None:
    """Killed and started again: nobody moves, and status still shows it."""
    _, second = pair
    answer = place.ask("switchover", vip="www")
    assert answer["moved"], answer
    since = place.cursor()
    place.stop_master(signal.SIGKILL)
    second.stop(signal.SIGKILL)
    # At once: keepalived misses it after ten seconds.
    second.start(online=False)
    place.start_master()
    second.until(second.is_online, "it is online")
    assert [it["what"] for it in decided(place)] == [f"www to {second.name}"]
    until(lambda: holder(place) == second.name, "it still holds the VIP", 30)
    assert place.events("failover", since=since) == []


def test_an_adjustment_that_somebody_changes_is_put_right(place: Place, pair: tuple[Host, Host]) -> None:
    """It is drift like any other."""
    first, _ = pair
    since = place.cursor()
    Path(first.state, "adjustments", "www").write_text("-100\n")
    found = first.event("drift.healed", since)
    assert [step["kind"] for step in found["data"]["steps"]] == ["priority"]
    assert adjustment(first) == "0\n"


def test_an_evacuated_director_gives_up_what_it_holds(place: Place, pair: tuple[Host, Host]) -> None:
    """And a switchover to it is refused."""
    first, second = pair
    answer = place.ask("evacuate", director="d1", reason="new kernel")
    assert (answer["moved"], answer["holds"]) == (True, []), answer
    assert has_vip(second)
    assert not has_vip(first)
    with pytest.raises(RequestRefused, match="d1 is not fit: it was evacuated"):
        place.ask("switchover", vip="www", to="d1")


def test_a_director_whose_keepalived_was_stopped_is_not_fit(place: Place, pair: tuple[Host, Host]) -> None:
    """The refusal says so; nothing moves."""
    _, second = pair
    pid = int((second.runtime / "keepalived.pid").read_text())
    since = place.cursor()
    os.kill(pid, signal.SIGTERM)
    second.event("keepalived.stopped", since)
    with pytest.raises(RequestRefused, match=second.name) as refusal:
        place.ask("switchover", vip="www")
    assert refusal.value.kind == "unfit"
    assert "stopped" in str(refusal.value) or "does not run there" in str(refusal.value)


def test_a_drained_real_server_has_weight_0_until_it_ends(
    place: Place, pair: tuple[Host, Host], joined: Host, other: Host
) -> None:
    """Also over a push, and after both directors' minions were killed."""
    assert place.ask("drain", host=joined.name, reason="new disk")["outcome"] == "converged"
    assert weights(place) == {joined.address: 0, other.address: 1}
    for director in pair:
        director.stop(signal.SIGKILL)
        director.start()
    push(place, *pair, joined, other)
    until(lambda: weights(place) == {joined.address: 0, other.address: 1}, "it is still drained", 20)
    (drain,) = decided(place)
    assert (drain["what"], drain["connections"], drain["done"]) == (joined.name, 0, True)
    assert place.ask("undrain", host=joined.name)["outcome"] == "converged"
    until(lambda: weights(place) == {joined.address: 1, other.address: 1}, "it takes connections", 20)


def test_a_host_in_maintenance_may_be_away_and_catches_up(
    place: Place, pair: tuple[Host, Host], joined: Host, other: Host
) -> None:
    """A push goes on without it; when it returns it gets what it missed."""
    assert place.ask("maintenance", host=joined.name, on=True, reason="new disk")["outcome"] == "converged"
    joined.stop()
    until(lambda: not place.is_there(joined.name), "the master misses it", 20)
    generation = push(place, *pair, joined, other)["generation"]
    joined.start()

    def applied() -> int:
        status = place.ask("status", cluster=CLUSTER)["clusters"][CLUSTER]["hosts"][joined.name]
        return int(status["applied"])

    until(lambda: applied() == generation, "it has caught up", 20)
