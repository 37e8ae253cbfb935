"""Drains, maintenance, switchovers and evacuations, asked of a real master: each is a generation that stays in force."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbmaster import interventions as decide
from lbmaster.errors import RequestError
from lbmaster.interventions import Decision
from lbstates.desired import DirectorState, RealServerState, decode_state
from lbstates.interventions import Interventions
from lbwire.messages import Figures, Health, Role, State

from .conftest import HOSTS, WEB, Refusal, Site, ask, eventually
from .fake_minion import FakeMinion

QUICK = WEB + "vrrp: {advert_interval: 0.1}\n"
THREE = QUICK.replace("  r2: 10.0.0.12\n", "  r2: 10.0.0.12\n  r3: 10.0.0.13\n")


async def _cluster(site: Site, text: str = QUICK, hosts: tuple[str, ...] = HOSTS) -> None:
    for name in hosts:
        await site.minion(name)
    assert (await site.ask("push", text=text))["outcome"] == "converged"


def _told(minion: FakeMinion) -> DirectorState:
    """Return the state that a director was told last."""
    states = [decode_state(message.desired) for message in minion.seen if isinstance(message, State)]
    (*_, last) = [state for state in states if not isinstance(state, RealServerState)]
    assert isinstance(last, DirectorState)
    return last


def _drained(minion: FakeMinion) -> set[str]:
    return {it.host for service in _told(minion).services for it in service.destinations if it.drained}


async def _decided(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await site.ask("status"))["clusters"]["web"]["interventions"]
    return found


async def test_a_drain_is_a_generation_that_all_directors_get(site: Site) -> None:
    """With who and why in the journal, and in status until it ends."""
    await _cluster(site)
    result = await site.ask("drain", host="r1", by="ann@desk", reason="new disk", deadline=300)
    assert (result["outcome"], result["generation"], result["what"]) == ("converged", 2, "r1")
    assert _drained(site.minions["d1"]) == _drained(site.minions["d2"]) == {"r1"}
    (acted,) = [it for it in await site.events("operator.acted") if it["data"]["verb"] == "drain"]
    assert "ann@desk" in acted["data"]["by"]
    assert ("host=r1" in acted["data"]["what"], acted["data"]["reason"]) == (True, "new disk")
    (drain,) = await _decided(site)
    assert (drain["kind"], drain["what"], drain["by"], drain["deadline"]) == ("drain", "r1", "ann@desk", 300)
    assert (await site.ask("undrain", host="r1"))["generation"] == 3
    assert _drained(site.minions["d1"]) == set()
    assert await _decided(site) == []


async def test_a_drain_survives_a_push_and_a_restart(site: Site) -> None:
    """It is part of the generation, wherever that comes from."""
    await _cluster(site)
    await site.ask("drain", host="r1", vip="www", port=80)
    for minion in site.minions.values():
        await minion.close()
    await site.stop()
    await site.start()
    for minion in site.minions.values():
        minion.connect(site.ports, site.server_key)
    assert [it["what"] for it in await _decided(site)] == ["r1:www:80"]
    assert (await site.ask("push", text=QUICK + "drift: report\n"))["outcome"] == "converged"
    assert _drained(site.minions["d1"]) == {"r1"}


async def test_connections_that_are_left_are_counted(site: Site) -> None:
    """Of all directors; a closed one is no longer in the way."""
    await _cluster(site)
    identity = "tcp 10.0.0.100:80 -> 10.0.0.11:80"
    for name, active in (("d1", 3), ("d2", 4)):
        site.minions[name].destinations = (Figures(identity, *([0] * 10), active=active, inactive=9),)
    await site.ask("drain", host="r1", deadline=0.001)

    async def first() -> dict[str, Any]:
        (drain,) = await _decided(site)
        return drain

    async with asyncio.timeout(10):
        while (drain := await first())["connections"] != 7:
            await asyncio.sleep(0.05)
    assert (drain["services"], drain["done"], drain["overdue"]) == ({"tcp 10.0.0.100:80": [7, 18]}, False, True)
    for name in ("d1", "d2"):
        site.minions[name].destinations = (Figures(identity, *([0] * 10), active=0, inactive=9),)
    async with asyncio.timeout(10):
        while not (drain := await first())["done"]:
            await asyncio.sleep(0.05)
    assert (drain["connections"], drain["overdue"]) == (0, False)
    # One that says nothing any more may have some, unless it may be away.
    await site.minions["d2"].close()
    async with asyncio.timeout(10):
        while (drain := await first())["connections"] is not None:
            await asyncio.sleep(0.02)
    assert not drain["done"]
    await site.ask("maintenance", host="d2", on=True, reason="down", by="test")
    async with asyncio.timeout(10):
        while [it["connections"] for it in await _decided(site) if it["kind"] == "drain"] != [0]:
            await asyncio.sleep(0.02)


WRONG_TARGETS = {
    "host": ({"host": "r9"}, "unknown_host", "there are: r1, r2"),
    "host of a cluster": ({"host": "d1", "cluster": "web"}, "unknown_host", "there are: r1, r2"),
    "VIP": ({"host": "r1", "vip": "mail"}, "unknown_vip", "www (10.0.0.100)"),
    "port": ({"host": "r1", "vip": "www", "port": 443}, "unknown_service", "it serves: www"),
    "cluster": ({"host": "r1", "cluster": "dns"}, "unknown_cluster", "there are: web"),
    "deadline": ({"host": "r1", "deadline": -1}, "bad_request", "deadline"),
}


@pytest.mark.parametrize("wrong", WRONG_TARGETS)
async def test_what_is_not_there_cannot_be_drained(wrong: str, site: Site) -> None:
    """The refusal says what is there; no generation is used."""
    arguments, kind, said = WRONG_TARGETS[wrong]
    await _cluster(site)
    with pytest.raises(Refusal) as refusal:
        await site.ask("drain", **arguments)
    assert refusal.value.kind == kind
    assert said in str(refusal.value)
    assert (await site.ask("status"))["clusters"]["web"]["generation"] == 1


async def test_a_drain_that_leaves_too_few_is_refused(site: Site) -> None:
    """Half of the pool may be out, unless it is forced."""
    await _cluster(site)
    await site.ask("drain", host="r1")
    with pytest.raises(Refusal) as refusal:
        await site.ask("drain", host="r2")
    assert refusal.value.kind == "below_floor"
    assert (await site.ask("drain", host="r2", force=True))["outcome"] == "converged"
    assert _drained(site.minions["d1"]) == {"r1", "r2"}


async def test_what_is_not_drained_cannot_be_undrained(site: Site) -> None:
    await _cluster(site)
    await site.ask("drain", host="r1", vip="10.0.0.100")
    with pytest.raises(Refusal, match="drained are: r1:www"):
        await site.ask("undrain", host="r2")
    assert (await site.ask("undrain", host="r1"))["outcome"] == "converged"


async def test_a_host_in_maintenance_is_drained_and_may_be_away(site: Site) -> None:
    """Pushes go on without it; a drain of its own outlives the maintenance."""
    await _cluster(site)
    with pytest.raises(Refusal) as refusal:
        await site.ask("maintenance", host="r2", on=True)
    assert refusal.value.kind == "no_reason"
    assert (await site.ask("maintenance", host="r2", on=True, reason="new kernel", by="ann"))["outcome"] == "converged"
    await site.minions["r2"].close()
    lost = await site.event("minion.lost")
    assert (lost["data"]["host"], lost["data"]["maintenance"]) == ("r2", True)
    assert (await site.ask("push", text=QUICK + "drift: report\n"))["outcome"] == "converged"
    assert _drained(site.minions["d1"]) == {"r2"}
    (entry,) = await _decided(site)
    assert (entry["kind"], entry["what"], entry["reason"], entry["by"]) == ("maintenance", "r2", "new kernel", "ann")
    with pytest.raises(Refusal, match="lbmaster maintenance r2 off"):
        await site.ask("undrain", host="r2")
    assert (await site.ask("maintenance", host="r2", on=False))["outcome"] == "converged"
    assert await _decided(site) == []
    with pytest.raises(Refusal, match="r2 is not in maintenance"):
        await site.ask("maintenance", host="r2", on=False)


async def test_a_drain_of_a_service_that_is_no_more_can_be_ended(site: Site) -> None:
    """The file lost the port; the drain stays in force, and in status, until somebody ends it."""
    await _cluster(site)
    await site.ask("drain", host="r1", vip="www", port=80)
    assert (await site.ask("push", text=QUICK.replace("port: 80", "port: 81")))["outcome"] == "converged"
    assert [it["what"] for it in await _decided(site)] == ["r1:www:80"]
    assert (await site.ask("undrain", host="r1", vip="www", port=80))["outcome"] == "converged"
    assert await _decided(site) == []


# --- who holds what --------------------------------------------------------------------------------------------------


async def _elected(site: Site, holder: str = "d1") -> None:
    """Let a director hold the VIP, and the other one hear it."""
    for name in ("d1", "d2"):
        site.minions[name].enter("MASTER" if name == holder else "BACKUP")
    await eventually(lambda: True)
    async with asyncio.timeout(10):
        while (await site.ask("status"))["clusters"]["web"]["vips"]["10.0.0.100/24"]["holder"] != holder:
            await asyncio.sleep(0.05)


def _follow(site: Site) -> None:
    """Let the fake directors hold an election by what they are told, as soon as one of them is released."""

    def elect() -> None:
        instance = _told(site.minions["d2"]).instances[0]
        first = max(instance.priorities, key=instance.priority_of)
        for name in sorted(("d1", "d2"), key=lambda name: name == first):
            state = "MASTER" if name == first else "BACKUP"
            if site.minions[name].roles["www"].state != state:
                site.minions[name].enter(state)

    for name in ("d1", "d2"):
        site.minions[name].on_release = elect


@pytest.mark.parametrize("vip", ["www", "10.0.0.100"])
@pytest.mark.parametrize("to", [None, "d2"])
async def test_a_vip_is_switched_over_and_back(vip: str, to: str | None, site: Site) -> None:
    """The answer says from where to where, and how long it took; status shows it until it ends."""
    await _cluster(site)
    await _elected(site)
    _follow(site)
    result = await site.ask("switchover", vip=vip, **({"to": to} if to else {}))
    assert (result["from"], result["to"], result["moved"], result["outcome"]) == ("d1", "d2", True, "converged")
    assert 0 < result["took"] < 10
    assert _told(site.minions["d1"]).instances[0].adjustments == {"d2": 14}
    (entry,) = await _decided(site)
    assert (entry["kind"], entry["what"], entry["done"]) == ("switchover", "www to d2", True)
    with pytest.raises(Refusal, match="d2 holds www already"):
        await site.ask("switchover", vip=vip, to="d2")
    back = await site.ask("switchover", vip=vip, back=True)
    assert (back["from"], back["to"], back["moved"]) == ("d2", "d1", True)
    assert await _decided(site) == []
    with pytest.raises(Refusal, match="no switchover is in force"):
        await site.ask("switchover", vip=vip, back=True)


async def test_a_switchover_that_does_not_come_about_is_taken_back(site: Site) -> None:
    """keepalived there may have its own reasons; nothing stays half done."""
    await _cluster(site)
    await _elected(site)
    result, notes = await ask(site.config.control_socket, "switchover", vip="www", to="d2")
    assert (result["moved"], result["outcome"], result["taken_back"], result["holds"]) == (False, "failed", True, "d1")
    assert "taking back" in [note["phase"] for note in notes]
    assert _told(site.minions["d2"]).instances[0].adjustments == {}
    assert await _decided(site) == []


async def test_a_switchover_that_is_taken_back_leaves_what_was_decided_before(site: Site) -> None:
    """Ann's switchover stays in force when the next one does not come about."""
    await _cluster(site)
    await _elected(site)
    _follow(site)
    assert (await site.ask("switchover", vip="www", to="d2", by="ann"))["moved"]
    for name in ("d1", "d2"):
        site.minions[name].on_release = lambda: None
    result = await site.ask("switchover", vip="www", to="d1", by="bob")
    assert (result["moved"], result["taken_back"], result["holds"]) == (False, True, "d2")
    assert [(it["what"], it["by"]) for it in await _decided(site)] == [("www to d2", "ann")]


async def test_a_switchover_that_does_not_come_about_leaves_what_was_decided_meanwhile(site: Site) -> None:
    """Bob's later switchover moves the VIP while ann still waits for hers: it stays, and ann is told so."""
    await _cluster(site, QUICK.replace("  d2: 10.0.0.2\n", "  d2: 10.0.0.2\n  d3: 10.0.0.3\n"), (*HOSTS, "d3"))
    await _elected(site)
    site.minions["d3"].enter("BACKUP")
    before = (await site.events())[-1]["cursor"]
    going = asyncio.create_task(ask(site.config.control_socket, "switchover", vip="www", to="d2", by="ann"))
    await site.event("push.finished", since=before)
    d1, d3 = site.minions["d1"], site.minions["d3"]

    def moves() -> None:
        d3.on_release = lambda: None
        d1.enter("BACKUP")
        d3.enter("MASTER")

    d3.on_release = moves
    assert (await site.ask("switchover", vip="www", to="d3", by="bob", force=True))["moved"]
    result, notes = await going
    assert (result["moved"], result["taken_back"], result["overtaken"]) == (False, False, True)
    assert (result["outcome"], result["holds"]) == ("failed", "d3")
    assert "let d3 hold www (by bob)" in [note["error"] for note in notes if note["phase"] == "taking back"][-1]
    assert [(it["what"], it["by"]) for it in await _decided(site)] == [("www to d3", "bob")]


def test_a_switchover_that_was_ended_meanwhile_is_not_taken_back_once_more() -> None:
    """Nothing that was decided before it comes back by that; nor by one to the same director, decided later."""
    ann, bob = Decision("ann", "", 1.0), Decision("bob", "", 2.0)
    before = decide.switch_over(Interventions(), ("www",), "d2", ann)
    now = decide.switch_over(before, ("www",), "d1", bob)
    assert decide.switch_as_before(now, ("www",), "d1", bob, before) == before
    later = decide.switch_over(now, ("www",), "d1", Decision("eve", "", 3.0))
    for meanwhile in (decide.switch_back(now, ("www",)), later):
        with pytest.raises(RequestError, match="somebody has decided meanwhile to") as error:
            decide.switch_as_before(meanwhile, ("www",), "d1", bob, before)
        assert error.value.kind == "overtaken"


async def test_a_switchover_that_cannot_be_taken_back_says_so(site: Site) -> None:
    """Here somebody begins a push in the seconds in which the VIP should have moved."""
    await _cluster(site)
    await _elected(site)
    going = asyncio.create_task(site.ask("switchover", vip="www", to="d2"))
    await eventually(lambda: all(minion.applied["web"] == 2 for minion in site.minions.values()))
    options = {"canary": "1", "pause": "canary", "wait": True}
    push = asyncio.create_task(site.ask("push", text=QUICK, options=options))
    result = await going
    assert (result["moved"], result["outcome"], result["taken_back"]) == (False, "failed", False)
    with pytest.raises(Refusal, match="it waits for lbmaster rollout resume, or end it") as refusal:
        await site.ask("switchover", vip="www", back=True)
    assert (refusal.value.kind, "--wait" in str(refusal.value)) == ("busy", False)
    await site.ask("rollout.resume")
    assert (await push)["outcome"] == "converged"
    assert [it["what"] for it in await _decided(site)] == ["www to d2"]


async def test_a_director_that_is_not_fit_is_refused_with_each_reason(site: Site) -> None:
    """And taken all the same, if it is forced."""
    await _cluster(site)
    await _elected(site)
    _follow(site)
    d2 = site.minions["d2"]
    d2.drift, d2.health = 2, Health(failing={"tcp 10.0.0.100:80 -> 10.0.0.11:80": "refused"})
    d2.enter("FAULT")
    async with asyncio.timeout(10):
        while (await site.ask("status"))["clusters"]["web"]["hosts"]["d2"]["drift"] != 2:
            await asyncio.sleep(0.05)
    for arguments in ({"to": "d2"}, {}):
        with pytest.raises(Refusal) as refusal:
            await site.ask("switchover", vip="www", **arguments)
        assert refusal.value.kind == "unfit"
        for reason in (
            "2 of the things",
            "is in FAULT",
            "fail there that d1 reaches: tcp 10.0.0.100:80 -> 10.0.0.11:80",
        ):
            assert reason in str(refusal.value)
    assert (await site.ask("switchover", vip="www", to="d2", force=True))["moved"]


async def test_an_evacuated_director_gives_up_what_it_holds(site: Site) -> None:
    """It is not chosen by a switchover then, until it comes back."""
    await _cluster(site)
    await _elected(site)
    _follow(site)
    result = await site.ask("evacuate", director="d1", reason="new kernel")
    assert (result["moved"], result["holds"]) == (True, [])
    (entry,) = await _decided(site)
    assert (entry["kind"], entry["what"], entry["done"]) == ("evacuation", "d1", True)
    with pytest.raises(Refusal, match="it was evacuated"):
        await site.ask("switchover", vip="www", to="d1")
    assert (await site.ask("evacuate", director="d1", end=True))["outcome"] == "converged"
    assert await _decided(site) == []
    with pytest.raises(Refusal, match="d1 is not evacuated"):
        await site.ask("evacuate", director="d1", end=True)


async def test_a_director_is_not_evacuated_when_nobody_can_take_over(site: Site) -> None:
    await _cluster(site)
    await _elected(site)
    site.minions["d2"].enter("FAULT")
    async with asyncio.timeout(10):
        while (await site.ask("status"))["clusters"]["web"]["hosts"]["d2"]["roles"]["www"]["state"] != "FAULT":
            await asyncio.sleep(0.05)
    with pytest.raises(Refusal) as refusal:
        await site.ask("evacuate", director="d1")
    assert refusal.value.kind == "unfit"
    assert "d2: www: it is in FAULT" in str(refusal.value)
    with pytest.raises(Refusal, match="nobody is fit to take www over from d1"):
        await site.ask("maintenance", host="d1", on=True, reason="new kernel")
    assert (await site.ask("maintenance", host="d1", on=True, reason="fire", force=True))["outcome"] == "converged"


async def test_roles_of_a_fake_are_as_it_says(site: Site) -> None:
    """So that the tests above mean something."""
    await _cluster(site)
    await _elected(site, "d2")
    assert site.minions["d1"].roles["www"] == Role("BACKUP", 100, ("10.0.0.100/24",))
