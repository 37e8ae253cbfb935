"""A real server in a cluster: what comes first, what is repaired, what is left alone, what is taken away again."""

from __future__ import annotations

import itertools
import signal
import threading
from typing import Any

import pytest

from .place import CLUSTER, VIP, Host, Place, until

ARP = {"all/arp_ignore": "1", "all/arp_announce": "2", "eth0/arp_ignore": "1", "eth0/arp_announce": "2"}
BEFORE = {"all/arp_ignore": "0", "all/arp_announce": "0", "eth0/arp_ignore": "0", "eth0/arp_announce": "1"}

AS_IT_IS = {"below_floor": True, "rollback": False}
"""What fails stays as it is then, to be looked at."""


def kinds(steps: list[dict[str, str]]) -> list[str]:
    return [kind for kind, _ in itertools.groupby(step["kind"] for step in steps)]


def freeze_sysctls(host: Host) -> None:
    """Let every write to a setting fail on this host."""
    host.mount("--bind", "/proc/sys", "/proc/sys")
    host.mount("-o", "remount,ro,bind", "/proc/sys")


@pytest.mark.pitfall("R3")
def test_a_push_sets_the_sysctls_and_then_adds_the_vip(place: Place, joined: Host) -> None:
    """Afterwards the host is as declared, by the kernel's own account."""
    joined.start()
    with joined.watched() as changes:
        answer = place.push_with(joined)
    assert [line for _, line in changes if VIP in line]
    assert kinds(answer["hosts"][joined.name]["steps"]) == ["sysctl", "address"]
    assert joined.on_lo() == {f"{VIP}/32"}
    assert joined.arp() == ARP


@pytest.mark.pitfall("R3")
def test_without_the_sysctls_the_vip_is_never_added(place: Place, joined: Host) -> None:
    """A host that would answer ARP for the VIP must not have it: the failure names the setting, and stops there."""
    joined.start()
    freeze_sysctls(joined)
    with joined.watched() as changes:
        answer = place.ask("push", text=place.cluster_file(joined), timeout=30, options=AS_IT_IS)
    assert answer["outcome"] == "failed"
    problem = answer["hosts"][joined.name]["problem"]
    assert "net/ipv4/conf/all/arp_ignore" in problem
    assert "read-only" in problem.lower()
    assert not changes
    assert joined.on_lo() == set()
    joined.mount("-o", "remount,rw,bind", "/proc/sys")
    assert place.push_with(joined)["hosts"][joined.name]["state"] == "applied"
    assert joined.on_lo() == {f"{VIP}/32"}


def test_a_host_that_is_taken_out_gets_back_what_it_was(place: Place, joined: Host, other: Host) -> None:
    """The VIP goes, the settings are what they were, and what was never ours stays."""
    joined.ip("address", "add", "192.0.2.7/32", "dev", "lo")
    joined.sysctl("eth0/arp_announce", "1")
    joined.start()
    other.start()
    place.push_with(joined, other)
    assert joined.on_lo() == {f"{VIP}/32", "192.0.2.7/32"}
    assert joined.arp() == ARP
    answer = place.push_with(other)
    assert kinds(answer["hosts"][joined.name]["steps"]) == ["address", "sysctl"]
    assert joined.on_lo() == {"192.0.2.7/32"}
    assert joined.arp() == BEFORE
    assert other.on_lo() == {f"{VIP}/32"}


@pytest.mark.pitfall("R3")
def test_the_vip_is_deleted_before_the_sysctls_are_restored(place: Place, server: Host, other: Host) -> None:
    """Also when restoring fails: then it is said, and the VIP is gone all the same."""
    other.start()
    freeze_sysctls(server)
    answer = place.ask("push", text=place.cluster_file(other), timeout=30, options=AS_IT_IS)
    assert answer["outcome"] == "failed"
    assert "arp_ignore" in answer["hosts"][server.name]["problem"]
    assert server.on_lo() == set()
    assert server.arp() == ARP


@pytest.mark.pitfall("S1")
def test_a_vip_that_somebody_deletes_is_back_within_a_second(place: Place, server: Host) -> None:
    """By the kernel's clock; the journal tells what was found and healed."""
    since = place.cursor()
    with server.watched() as changes:
        server.ip("address", "del", f"{VIP}/32", "dev", "lo")
        healed = server.event("drift.healed", since)
    (gone, deleted), (back, added) = changes
    assert "Deleted" in deleted
    assert "Deleted" not in added
    assert back - gone < 1
    found = server.event("drift.found", since)
    step = {
        "kind": "address",
        "verb": "add",
        "identity": f"lo {VIP}/32",
        "before": "",
        "after": "",
        "detail": "",
        "count": 1,
    }
    assert found["data"]["steps"] == healed["data"]["steps"] == [step]
    assert found["cursor"] < healed["cursor"]
    assert found["data"]["trigger"] == f"address lo {VIP}/32 vanished"


def test_addresses_of_others_come_and_go_unnoticed(place: Place, server: Host) -> None:
    """What is not ours raises no event, and is neither removed nor put back."""
    since = place.cursor()
    for verb, expected in (("add", {f"{VIP}/32", "192.0.2.9/32"}), ("del", {f"{VIP}/32"})):
        server.ip("address", verb, "192.0.2.9/32", "dev", "lo")
        place.ask("reconcile", cluster=CLUSTER, timeout=10)
        assert server.on_lo() == expected
    assert not server.events(since=since)


def test_an_untouched_second_push_changes_nothing(place: Place, server: Host) -> None:
    """Not a single change reaches the kernel."""
    with server.watched() as changes:
        answer = place.push_with(server)
    assert not changes
    assert all(host["steps"] == [] for host in answer["hosts"].values())


def test_a_minion_that_is_killed_while_it_applies_200_vips_ends_in_the_pushed_state(
    place: Place, joined: Host, other: Host
) -> None:
    """When it is back, without help; and taken out later it leaves nothing behind, so its ledger is whole too."""
    vips = {f"v{n}": f"10.99.251.{n}" for n in range(1, 201)}
    wanted = {f"{vip}/32" for vip in vips.values()}
    joined.start("nice", "-n", "19")  # slow enough to be killed in the middle
    other.start()
    answers: list[dict[str, Any]] = []
    arguments = {"text": place.cluster_file(joined, vips=vips), "timeout": 90, "options": {"below_floor": True}}
    push = threading.Thread(target=lambda: answers.append(place.ask("push", **arguments)))
    with joined.watched() as changes:
        push.start()
        until(lambda: len(changes) > 12, "some VIPs are there", 30, pause=0.001)
        joined.stop(signal.SIGKILL)
    assert 0 < len(joined.on_lo()) < 200
    joined.start()
    push.join()
    assert [answer["outcome"] for answer in answers] == ["converged"], answers
    assert joined.on_lo() == wanted
    assert not joined.events("state.refused")
    place.push_with(other)
    assert joined.on_lo() == set()
    assert joined.arp() == dict.fromkeys(ARP, "0")
