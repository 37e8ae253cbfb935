"""What somebody changes on a host is found and put back in time; the figures are printed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from .place import CLUSTER, VIP, Host, Place

ARP = {"all/arp_ignore": "1", "all/arp_announce": "2", "eth0/arp_ignore": "1", "eth0/arp_announce": "2"}
ADDRESS_SECONDS = 3.0
SECONDS = 5.0
"""From the change to the repair, on a machine that does a lot besides: 0.05 s and one or two seconds when it does not."""


def healed_within(host: Host, what: str, change: Callable[[], object], healed: Callable[[], object]) -> float:
    """Change something, wait until it is repaired, and say how long that took."""
    begun = time.monotonic()
    change()
    host.until(healed, f"{what} is repaired")
    seconds = time.monotonic() - begun
    print(f"{what}: repaired after {seconds:.2f} s")  # noqa: T201 - a figure for whoever runs this with -s
    return seconds


def election_is_over(place: Place) -> None:
    """Wait until the director is MASTER and every host has been looked at because of it: a look heals whatever it finds."""
    director = place.hosts["d1"]

    def is_master() -> bool:
        transitions = director.events("vrrp.transition")
        return bool(transitions) and transitions[-1]["data"]["state"] == "MASTER"

    director.until(is_master, "the journal has it as MASTER")
    place.ask("reconcile", cluster=CLUSTER, timeout=10)  # done after what the transition itself has set off


def keepalived_pid(host: Host) -> int:
    return int((host.runtime / "keepalived.pid").read_text())


def alive(host: Host) -> bool:
    """Whether its keepalived runs."""
    try:
        os.kill(keepalived_pid(host), 0)
    except (OSError, ValueError):
        return False
    return True


def test_a_vip_that_is_deleted_is_back_within_a_second(server: Host) -> None:
    """The kernel tells the minion."""
    took = healed_within(
        server,
        "VIP",
        lambda: server.ip("address", "del", f"{VIP}/32", "dev", "lo"),
        lambda: f"{VIP}/32" in server.on_lo(),
    )
    assert took < ADDRESS_SECONDS


@pytest.mark.parametrize("key", ARP)
@pytest.mark.pitfall("R2")
def test_a_sysctl_that_is_changed_is_set_again_within_two_seconds(place: Place, server: Host, key: str) -> None:
    """The kernel tells nobody: the minion reads the few that matter every second."""
    election_is_over(place)
    since = place.cursor()
    took = healed_within(server, key, lambda: server.sysctl(key, "0"), lambda: server.arp() == ARP)
    assert took < SECONDS
    assert server.event("drift.healed", since)["data"]["trigger"] == "sysctl changed"


@pytest.mark.pitfall("S6")
def test_a_keepalived_conf_that_is_edited_is_put_back_within_two_seconds(place: Place, server: Host) -> None:
    """And keepalived runs with it; the journal has the difference."""
    director = place.hosts["d1"]
    since = place.cursor()
    file = director.folder / "keepalived.conf"
    text = file.read_text()
    took = healed_within(
        director,
        "keepalived.conf",
        lambda: file.write_text(text + "# tried something\n"),
        lambda: file.read_text() == text,
    )
    assert took < SECONDS
    healed = director.event("drift.healed", since)
    assert "-# tried something" in healed["data"]["steps"][0]["detail"]


def test_a_keepalived_that_is_killed_runs_again(place: Place, server: Host) -> None:
    """Another process, within two seconds, although its VIP had to be taken away first."""
    director = place.hosts["d1"]
    pid = keepalived_pid(director)

    def runs_again() -> bool:
        try:
            return keepalived_pid(director) != pid
        except (OSError, ValueError):
            return False

    since = place.cursor()
    healed_within(director, "keepalived", lambda: os.kill(pid, signal.SIGKILL), runs_again)
    director.event("drift.healed", since)


@pytest.mark.pitfall("I2")
def test_somebody_who_keeps_deleting_the_vip_is_named_and_does_not_keep_the_minion_busy(
    place: Place, server: Host
) -> None:
    """Three times it is put back at once, then after a pause; a push puts it back at once."""
    since = place.cursor()

    def delete() -> None:
        server.ip("address", "del", f"{VIP}/32", "dev", "lo")

    for _ in range(3):
        assert healed_within(server, "VIP", delete, lambda: f"{VIP}/32" in server.on_lo()) < ADDRESS_SECONDS
        place.ask("reconcile", cluster=CLUSTER, timeout=10)
    took = healed_within(server, "contested VIP", delete, lambda: f"{VIP}/32" in server.on_lo())
    contested = server.event("drift.contested", since)["data"]
    assert (contested["kind"], contested["identities"], contested["times"]) == ("address", [f"lo {VIP}/32"], 3)
    assert 1 < took < contested["pause"] + SECONDS
    delete()
    server.until(lambda: len(server.events("drift.contested", since=since)) == 2, "it is contested still")
    server.until(lambda: "keeps changing it back" in server.lbminion("status").stdout, "status says so")
    place.push_with(server)
    assert f"{VIP}/32" in server.on_lo()


def test_a_keepalived_that_is_killed_again_and_again_never_leaves_its_vips_behind(place: Place, server: Host) -> None:
    """It is started ever later, but another director may have its VIPs by then."""
    director = place.hosts["d1"]
    place.push_with(server)
    since = place.cursor()

    def holds() -> bool:
        return f" {VIP}/" in director.ip("-4", "-o", "address", "show", "dev", "eth0")

    for kill in range(1, 7):
        director.until(lambda: alive(director) and holds(), "it has the VIP")
        for name in ("vrrp", "keepalived"):
            with suppress(OSError, ValueError):
                os.kill(int((director.runtime / f"{name}.pid").read_text()), signal.SIGKILL)
        director.until(lambda count=kill: len(director.events("keepalived.died", since=since)) == count, "it died")
    director.until(lambda: len(director.events("drift.contested", since=since)) == 3, "it is contested")
    pauses = [event["data"]["pause"] for event in director.events("drift.contested", since=since)]
    assert pauses == [2, 4, 8]
    director.until(lambda: not holds(), "its VIP is taken away")
    assert not alive(director)
    director.until(holds, "it is started again, and has the VIP")
    place.push_with(server)


def test_a_second_minion_does_not_serve_the_same_host(server: Host) -> None:
    """It says which lock is taken, and the first goes on."""
    second = server.lbminion("run")
    assert second.returncode == 1
    assert "another lbminion serves this host" in second.stderr
    assert "Traceback" not in second.stderr
    server.until(server.is_online, "it goes on")


def test_a_cluster_that_wants_reports_is_not_touched_until_the_next_push(place: Place, server: Host) -> None:
    """Nor by a reconcile of the master; what somebody puts right himself is told, too."""
    place.push("drift: report\n" + place.cluster_file(server))
    since = place.cursor()
    server.ip("address", "del", f"{VIP}/32", "dev", "lo")
    server.event("drift.found", since)
    answer = place.ask("reconcile", cluster=CLUSTER, timeout=10)
    assert answer["hosts"][server.name] == {"healed": [], "remaining": 1}
    assert server.on_lo() == set()
    server.until(lambda: "only reported" in server.lbminion("status").stdout, "status says so")
    server.ip("address", "add", f"{VIP}/32", "dev", "lo")
    server.event("drift.gone", since)
    server.sysctl("all/arp_ignore", "0")
    server.until(lambda: len(server.events("drift.found", since=since)) == 2, "the setting is found")
    place.push_with(server)
    assert server.arp() == ARP
    assert [event["type"] for event in server.events("drift.*", since=since)] == [
        "drift.found", "drift.gone", "drift.found",
    ]  # fmt: skip
