"""Gates: what was in order before a push has to be in order behind every wave of it, and else the push goes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbwire.messages import Figures, Health, State

from .conftest import HOSTS, WEB, Refusal, Site, ask, eventually

CHECKED = WEB + "    check: {tcp: {}, interval: 0.2, timeout: 0.1, fall: 1}\n"
TO_R2 = "tcp 10.0.0.100:80 -> 10.0.0.12:80"
WITHOUT_R2 = WEB.replace("  r2: 10.0.0.12\n", "")


async def with_a_master(site: Site, text: str = WEB) -> None:
    """A cluster of which d1 holds the VIP, and the master knows it."""
    for name in HOSTS:
        await site.minion(name)
    assert (await site.ask("push", text=text))["outcome"] == "converged"
    site.minions["d2"].enter("BACKUP")
    site.minions["d1"].enter("MASTER")
    await site.event("failover")


def applied(site: Site) -> list[int]:
    return [site.minions[host].applied["web"] for host in HOSTS]


async def rollout(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = (await site.ask("status"))["clusters"]["web"]["rollout"]
    return found


def contents(site: Site, host: str) -> dict[int, Any]:
    """What a host was told to be, by the order in which it came."""
    return dict(enumerate(m.desired for m in site.minions[host].seen if isinstance(m, State)))


async def test_a_host_that_cannot_apply_takes_the_push_back(site: Site) -> None:
    """A new generation with the old content goes to everybody; the answer and the journal say so."""
    await site.cluster()
    site.minions["d2"].fails, site.minions["d2"].fails_at = "no such interface", 2
    result, notes = await ask(site.config.control_socket, "push", text=WEB.replace("port: 80", "port: 81"))
    assert (result["outcome"], result["generation"]) == ("rolled_back", 2)
    assert "no such interface" in result["hosts"]["d2"]["problem"]
    assert (result["rollback"]["generation"], result["rollback"]["content_of"]) == (3, 1)
    assert applied(site) == [3, 3, 3, 3]
    states = contents(site, "r1")
    assert (states[0], states[0] == states[1]) == (states[2], False)
    back = await site.event("push.rolled_back")
    assert (back["data"]["generation"], back["data"]["by_generation"], back["data"]["content_of"]) == (2, 3, 1)
    assert "rolling back" in [note["phase"] for note in notes]


async def test_a_vip_without_master_takes_the_push_back(site: Site) -> None:
    """The active director is not touched when the standby's new state has cost the VIP its MASTER."""
    await with_a_master(site)
    site.minions["d2"].on_release = lambda: site.minions["d1"].enter("FAULT")
    push = asyncio.create_task(site.ask("push", text=WEB))
    gate = await site.event("push.gate")
    assert gate["data"]["problems"] == ["www: nobody is MASTER (d1 was)"]
    assert (await push)["outcome"] == "rolled_back"


async def test_two_masters_for_longer_than_a_handover_take_the_push_back(site: Site) -> None:
    """Both are named."""
    await with_a_master(site)
    site.minions["d2"].on_release = lambda: site.minions["d2"].enter("MASTER")
    result = await site.ask("push", text=WEB)
    assert result["outcome"] == "rolled_back"
    assert result["gate"] == ["www: d1 and d2 are MASTER at once"]


async def test_a_takeover_within_its_time_is_no_failure(site: Site) -> None:
    """The VIP moves from the active director when it reloads, and the push converges."""
    await with_a_master(site)

    def moves() -> None:
        site.minions["d1"].enter("BACKUP")
        asyncio.get_running_loop().call_later(0.3, site.minions["d2"].enter, "MASTER")

    site.minions["d1"].on_release = moves
    assert (await site.ask("push", text=WEB))["outcome"] == "converged"


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (Health(failing={TO_R2: "refused"}), f"d2: fails its check: {TO_R2} (refused)"),
        (Health(frozen=("tcp 10.0.0.100:80",)), "d2: too many real servers fail: tcp 10.0.0.100:80"),
        (Health(sorry=("tcp 10.0.0.100:80",)), "d2: no real server answers: tcp 10.0.0.100:80"),
        (Health(suspected=(TO_R2,)), f"d2: connections do not establish: {TO_R2}"),
    ],
)
async def test_what_newly_fails_on_a_director_with_the_new_state_takes_the_push_back(
    site: Site, health: Health, said: str
) -> None:
    """It is seen on the standby; the active director keeps the old state all along."""
    await with_a_master(site, CHECKED)

    def hurts() -> None:
        site.minions["d2"].health = health
        site.minions["d2"].on_release = lambda: None

    site.minions["d2"].on_release = hurts
    result, notes = await ask(site.config.control_socket, "push", text=CHECKED.replace("fall: 1", "fall: 2"))
    assert result["outcome"] == "rolled_back"
    assert result["gate"] == [said]
    released = [(note["host"], note["generation"]) for note in notes if note["phase"] == "released"]
    assert ("d2", 2) in released
    assert ("d1", 2) not in released


async def test_what_failed_before_the_push_does_not_stop_it(site: Site) -> None:
    """A dead real server is no reason to refuse the change that takes it out."""
    await with_a_master(site, CHECKED)
    site.minions["d1"].health = site.minions["d2"].health = Health(failing={TO_R2: "refused"})
    await asyncio.sleep(0.5)  # a sample or two
    result = await site.ask("push", text=CHECKED.replace("fall: 1", "fall: 2"))
    assert result["outcome"] == "converged", result


async def test_what_a_failed_first_push_has_left_does_not_stop_the_next_one(site: Site) -> None:
    """Nothing is in force yet, and directors have what it brought: that fails already."""
    for name in HOSTS:
        await site.minion(name)
        site.minions[name].health = Health(failing={TO_R2: "status 404"})
    await asyncio.sleep(0.5)  # a sample or two
    assert (await site.ask("push", text=CHECKED))["outcome"] == "converged"


async def test_destinations_without_a_verdict_are_waited_for(site: Site) -> None:
    """The next wave comes when the checks have spoken."""
    await with_a_master(site, CHECKED)
    told = site.minions["d2"]
    told.on_release = lambda: setattr(told, "health", Health(unproven=(TO_R2,)))
    push = asyncio.create_task(ask(site.config.control_socket, "push", text=CHECKED + "    scheduler: rr\n"))
    await eventually(lambda: told.applied["web"] == 2)
    while not any("no verdict yet" in said for said in (await rollout(site))["waiting"]):
        await asyncio.sleep(0.05)
    assert site.minions["d1"].applied["web"] == 1
    told.health = Health()
    result, _ = await push
    assert result["outcome"] == "converged"


async def test_a_destination_that_gets_no_verdict_takes_the_push_back(site: Site) -> None:
    """Within the time of a whole round of the check, and two seconds."""
    await with_a_master(site, CHECKED)
    told = site.minions["d2"]
    told.on_release = lambda: setattr(told, "health", Health(unproven=(TO_R2,)))
    result = await site.ask("push", text=CHECKED + "    scheduler: rr\n")
    assert result["outcome"] == "rolled_back"
    assert "no verdict yet" in result["gate"][0]


async def test_a_push_that_changes_nothing_waits_for_nothing(site: Site) -> None:
    """No soak where no host has changed anything."""
    await with_a_master(site, CHECKED)
    for minion in site.minions.values():
        minion.steps = ()
    result, notes = await ask(site.config.control_socket, "push", text=CHECKED)
    assert result["outcome"] == "converged"
    assert "watching" not in [note["phase"] for note in notes]


async def test_a_first_push_that_fails_has_nothing_to_go_back_to(site: Site) -> None:
    """It stops, and says how far it came."""
    for name in HOSTS:
        await site.minion(name)
    site.minions["d2"].fails = "no such interface"
    result = await site.ask("push", text=WEB)
    assert (result["outcome"], result["rollback"], result["stays"]) == ("failed", None, "first")


async def test_a_rollback_goes_on_although_a_host_cannot_follow(site: Site) -> None:
    """The others are as before; who is not is named."""
    await site.cluster()
    site.minions["r1"].fails = "disk full"
    result = await site.ask("push", text=WEB.replace("port: 80", "port: 81"))
    assert result["outcome"] == "failed"
    assert result["rollback"]["outcome"] == "failed"
    assert "disk full" in result["rollback"]["problems"]["r1"]
    assert applied(site) == [3, 3, 1, 3]


async def test_what_leaves_is_drained_before_it_is_removed(site: Site) -> None:
    """Directors that count connections to it are told to send it no new ones first, and real servers keep answering."""
    await site.cluster()
    busy = Figures(TO_R2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, active=3)
    for host in ("d1", "d2"):
        site.minions[host].destinations = (busy,)
    await eventually(lambda: site.minions["d1"].destinations)
    await asyncio.sleep(0.5)  # a sample or two
    push = asyncio.create_task(ask(site.config.control_socket, "push", text=WITHOUT_R2))
    await eventually(lambda: site.minions["r2"].applied["web"] == 2)
    await eventually(lambda: site.minions["d2"].applied["web"] == 2)
    bridged = [m for m in site.minions["d1"].seen if isinstance(m, State)][-1]
    (service,) = bridged.desired["services"]
    assert {it["address"]: it["drained"] for it in service["destinations"]} == {"10.0.0.11": False, "10.0.0.12": True}
    while (await rollout(site))["left"] != 6:
        await asyncio.sleep(0.05)
    for host in ("d1", "d2"):
        site.minions[host].destinations = ()
    result, notes = await push
    assert (result["outcome"], result["generation"], result["left"]) == ("converged", 3, 0)
    assert [note["left"] for note in notes if note["phase"] == "draining"][-1] == 0
    assert site.minions["d1"].applied["web"] == 3


@pytest.mark.parametrize("when", ["before the push", "while it is drained"])
async def test_a_real_server_that_leaves_may_be_dead(site: Site, when: str) -> None:
    """Although directors count connections to it, and so have it drained: nobody waits for it."""
    await site.cluster()
    for host in ("d1", "d2"):
        site.minions[host].destinations = (Figures(TO_R2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, active=3),)
    await asyncio.sleep(0.5)  # a sample or two
    if when == "before the push":
        await site.minions["r2"].close()
        await site.event("minion.lost")
    push = asyncio.create_task(site.ask("push", text=WITHOUT_R2, options={"drain": 60}))
    await eventually(lambda: site.minions["d2"].applied["web"] == 2)
    if when == "while it is drained":
        await site.minions["r2"].close()
        await site.event("minion.lost")
    for host in ("d1", "d2"):
        site.minions[host].destinations = ()
    result = await push
    assert (result["outcome"], result["generation"]) == ("converged", 3), result
    assert [site.minions[host].applied["web"] for host in ("d1", "d2", "r1")] == [3, 3, 3]


async def test_connections_that_do_not_end_are_cut_when_the_drain_is_over_and_counted(site: Site) -> None:
    """The push does not wait for ever."""
    await site.cluster()
    site.minions["d1"].destinations = (Figures(TO_R2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, active=3),)
    await asyncio.sleep(0.5)  # a sample or two
    result = await site.ask("push", text=WITHOUT_R2, options={"drain": 1})
    assert (result["outcome"], result["left"]) == ("converged", 3)


async def test_an_edit_below_the_floor_of_a_pool_is_refused(site: Site) -> None:
    """No number is used; the refusal says what would be left, and the option does it all the same."""
    await site.cluster()
    edited = WEB + "    real_servers: {r1: 0, r2: 0}\n"
    with pytest.raises(Refusal) as refusal:
        await site.ask("push", text=edited)
    assert refusal.value.kind == "below_floor"
    assert (await site.ask("push", text=edited, options={"below_floor": True}))["generation"] == 2


async def test_vips_move_first_if_asked_and_go_home_afterwards(site: Site) -> None:
    """The director that held the VIP is changed while it holds none; the last generation prefers nobody."""
    await with_a_master(site)
    d1, d2 = site.minions["d1"], site.minions["d2"]
    roles: list[str] = []

    def takes_over() -> None:
        d1.enter("BACKUP")
        d2.enter("MASTER")
        d2.on_release = lambda: None

    d2.on_release = takes_over
    d1.on_release = lambda: roles.append(d1.roles["www"].state)
    result = await site.ask("push", text=WEB.replace("port: 80", "port: 81"), options={"switch_first": True})
    assert (result["outcome"], result["generation"], roles[0]) == ("converged", 3, "BACKUP")
    told = [m.desired["instances"][0]["adjustments"] for m in d1.seen if isinstance(m, State)]
    assert [bool(adjustments) for adjustments in told] == [False, True, False]


async def test_a_vip_that_does_not_move_first_takes_the_push_back(site: Site) -> None:
    """The active director is not touched."""
    await with_a_master(site)
    result = await site.ask("push", text=WEB.replace("port: 80", "port: 81"), options={"switch_first": True})
    assert result["outcome"] == "rolled_back"
    assert result["gate"] == ["www: it shall be held by d2 first, and is by d1"]


THREE = CHECKED.replace("  r2: 10.0.0.12\n", "  r2: 10.0.0.12\n  r3: 10.0.0.13\n")


def falls_ill(site: Site, health: Health) -> None:
    """The directors see it as soon as the standby has the next generation."""

    def hurts() -> None:
        for name in ("d1", "d2"):
            site.minions[name].health = health
            site.minions[name].on_release = lambda: None

    site.minions["d2"].on_release = hurts


async def test_what_takes_no_connections_does_not_stop_the_drain_that_sees_to_it(site: Site) -> None:
    """A real server is drained because it is ill: its own check may fail in that moment."""
    await site.minion("r3")
    await with_a_master(site, THREE)
    falls_ill(site, Health(failing={TO_R2: "refused"}, suspected=(TO_R2,)))
    result = await site.ask("drain", host="r2")
    assert result["outcome"] == "converged", result


async def test_a_host_that_may_be_away_is_not_missed_by_its_check(site: Site) -> None:
    """Named by `allow_missing`, it may go away in the middle of the push, too."""
    await site.minion("r3")
    await with_a_master(site, THREE)
    falls_ill(site, Health(failing={TO_R2: "refused"}))
    options = {"allow_missing": ["r2"]}
    result = await site.ask("push", text=THREE.replace("fall: 1", "fall: 2"), options=options)
    assert result["outcome"] == "converged", result


async def test_a_drain_below_the_floor_that_was_asked_for_may_leave_a_sorry_server(site: Site) -> None:
    """`force` does it all the same, and it is not taken back for what it means."""
    await with_a_master(site, CHECKED + "    pool: {sorry_server: {address: 10.0.0.99, port: 80}}\n")
    falls_ill(site, Health(sorry=("tcp 10.0.0.100:80",), frozen=("tcp 10.0.0.100:80",)))
    result = await site.ask("drain", host="r2", force=True)
    assert result["outcome"] == "converged", result
