"""Masters and minions that stop, are killed and start again: nothing on the host moves, nothing that happened is lost."""

from __future__ import annotations

import itertools
import json
import signal
import sqlite3
import time

import pytest

from .place import VIP, Host, Place

STOPS = (signal.SIGTERM, signal.SIGKILL)


def in_order_and_once(host: Host) -> bool:
    """Whether the journal has the host's events in the order in which they happened, each once."""
    identities = [(event["boot"], event["sequence"]) for event in host.events("*")]
    whole = all(b == (a[0], a[1] + 1) or (b[0] > a[0] and b[1] == 1) for a, b in itertools.pairwise(identities))
    return whole and identities[0][1] == 1


@pytest.mark.parametrize("number", STOPS)
def test_a_minion_that_is_started_first_reports_when_the_master_comes(
    place: Place, joined: Host, number: signal.Signals
) -> None:
    """It waits for as long as it takes."""
    place.stop_master(number)
    joined.start(online=False)
    joined.until(lambda: joined.reported().get("online") is False, "it runs without a master")
    assert "not reachable" in joined.lbminion("status").stdout
    place.start_master()
    joined.until(joined.is_online, "it is online")
    joined.until(joined.events, "it has told it")
    assert [event["type"] for event in joined.events()] == ["minion.started"]


@pytest.mark.parametrize("number", STOPS)
def test_what_happens_without_a_master_is_healed_at_once_and_told_later(
    place: Place, server: Host, number: signal.Signals
) -> None:
    """Once and in order, by a minion that does not restart; nothing is said twice to whoever resumes by cursor."""
    since = place.cursor()
    place.stop_master(number)
    for times in range(1, 4):  # a fourth time within a minute would be a contest
        server.ip("address", "del", f"{VIP}/32", "dev", "lo")
        server.until(lambda least=2 * times: _spooled(server) >= least, "both events are on the disk")
        assert server.on_lo() == {f"{VIP}/32"}
    place.start_master()
    server.until(lambda: len(server.events("drift.healed", since=since)) >= 3, "all events have arrived")
    happened = [event["type"] for event in server.events("drift.*", since=since)]
    assert happened == ["drift.found", "drift.healed"] * 3
    assert in_order_and_once(server)
    assert server.process is not None
    assert server.process.poll() is None


def test_events_of_a_minion_that_was_killed_are_told_by_the_next(place: Place, server: Host) -> None:
    """They were on its disk; the earlier boot's come first."""
    since = place.cursor()
    place.stop_master(signal.SIGKILL)
    server.ip("address", "del", f"{VIP}/32", "dev", "lo")
    server.until(lambda: server.on_lo() == {f"{VIP}/32"}, "the VIP is back")
    server.until(lambda: _spooled(server) >= 2, "both events are on the disk")
    server.stop(signal.SIGKILL)
    server.start(online=False)
    place.start_master()
    server.until(lambda: server.events("minion.started", since=since), "the new minion has reported")
    assert [event["type"] for event in server.events(since=since)] == ["drift.found", "drift.healed", "minion.started"]
    assert in_order_and_once(server)


def _spooled(host: Host) -> int:
    with sqlite3.connect(host.state / "minion.sqlite") as database:
        (count,) = database.execute("SELECT count(*) FROM event").fetchone()
    database.close()
    return int(count)


@pytest.mark.parametrize("number", STOPS)
def test_a_restarted_minion_adopts_what_it_finds(place: Place, server: Host, number: signal.Signals) -> None:
    """The kernel sees no change at all, and the journal nothing but the start."""
    since = place.cursor()
    with server.watched() as changes:
        code = server.stop(number)
        server.start()
        place.ask("reconcile", cluster="web", timeout=10)
    assert code == (0 if number == signal.SIGTERM else -number)
    assert not changes
    assert [event["type"] for event in server.events(since=since)] == ["minion.started"]
    assert server.reported()["sample"]["drift"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("with_master", [True, False])
def test_a_signal_ends_the_minion_in_order(
    place: Place, server: Host, number: signal.Signals, with_master: bool
) -> None:
    """Within five seconds and with exit code 0, whether the master is there or not; the host stays as it is."""
    if not with_master:
        place.stop_master()
    begun = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - begun < 5
    assert "Traceback" not in server.log
    assert server.on_lo() == {f"{VIP}/32"}


def test_what_was_changed_while_no_minion_ran_is_found_at_its_start(place: Place, server: Host) -> None:
    """From the signed state on its disk: the master is not there either."""
    since = place.cursor()
    server.stop()
    place.stop_master()
    server.ip("address", "del", f"{VIP}/32", "dev", "lo")
    server.sysctl("eth0/arp_announce", "0")
    server.start(online=False)
    server.until(lambda: server.on_lo() == {f"{VIP}/32"}, "the VIP is back")
    place.start_master()
    healed = server.event("drift.healed", since)
    assert healed["data"]["trigger"] == "start"
    assert [step["kind"] for step in healed["data"]["steps"]] == ["sysctl", "address"]


# --- the commands that need no master -------------------------------------------------------------------------------


def test_plan_needs_neither_master_nor_service(place: Place, server: Host) -> None:
    """Exit code 0 when nothing would change, 3 with the steps when something would; nothing is changed by it."""
    server.stop()
    place.stop_master()
    same = server.lbminion("plan")
    assert (same.returncode, same.stdout) == (0, "No changes: the host is as the last released state says.\n")
    server.ip("address", "del", f"{VIP}/32", "dev", "lo")
    server.sysctl("all/arp_ignore", "0")
    changed = server.lbminion("plan")
    assert changed.returncode == 3
    assert changed.stdout.splitlines() == [
        "~ sysctl net/ipv4/conf/all/arp_ignore: 0 -> 1", f"+ address lo {VIP}/32", "2 to change.",
    ]  # fmt: skip
    as_json = server.lbminion("plan", "--json")
    assert as_json.returncode == 3
    assert [step["verb"] for step in json.loads(as_json.stdout)] == ["set", "add"]
    assert server.on_lo() == set()


def test_plan_of_a_host_without_a_cluster_is_empty(joined: Host) -> None:
    """It has joined, and nothing was pushed."""
    planned = joined.lbminion("plan", "--json")
    assert (planned.returncode, planned.stdout) == (0, "[]\n")


def test_status_tells_a_running_minion_from_a_stopped_one(server: Host) -> None:
    """By exit code, too; a stopped one is not shown as what it was."""
    server.until(lambda: server.reported()["sample"]["holdings"], "its next sample says what it holds")
    running = server.lbminion("status")
    assert running.returncode == 0
    assert running.stdout.startswith(server.name)
    assert "master 10.99.0.1 (connected)" in running.stdout
    assert "in force" in running.stdout
    assert running.stdout.splitlines()[-1] == "drift: none"
    server.stop()
    stopped = server.lbminion("status")
    assert stopped.returncode == 1
    assert stopped.stdout == ""
    assert not (server.runtime / "status.json").exists()
    assert "the service is not running" in stopped.stderr
    assert "systemctl start lbminion" in stopped.stderr


# --- a disk that somebody changed -----------------------------------------------------------------------------------


def tamper(host: Host) -> None:
    """Let the signed state on the disk name another VIP."""
    with sqlite3.connect(host.state / "minion.sqlite") as database:
        ((raw,),) = database.execute("SELECT raw FROM state").fetchall()
        assert VIP.encode() in raw
        database.execute("UPDATE state SET raw = ?", (raw.replace(VIP.encode(), b"10.99.250.9"),))
    database.close()


def test_a_state_that_was_changed_on_the_disk_is_not_obeyed(place: Place, server: Host) -> None:
    """It is said, nothing on the host changes, and the next push mends it."""
    since = place.cursor()
    server.stop()
    tamper(server)
    planned = server.lbminion("plan")
    assert planned.returncode == 1
    assert "the state of web (role:realserver) in this host's minion.sqlite cannot be trusted" in planned.stderr
    assert "push again" in planned.stderr
    assert len(planned.stderr.splitlines()) == 1
    with server.watched() as changes:
        server.start()
        unhealed = server.event("drift.unhealed", since)
    assert not changes
    assert unhealed["data"]["errors"][0] in planned.stderr
    assert server.reported()["sample"]["drift"] == 1
    place.push_with(server)
    server.until(lambda: server.reported()["sample"]["drift"] == 0, "the drift is over")
    assert server.on_lo() == {f"{VIP}/32"}
