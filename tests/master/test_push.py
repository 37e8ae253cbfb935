"""Pushing: staged everywhere, released in waves, and refused before a number is used when it cannot work."""

from __future__ import annotations

import asyncio

import pytest

from lbstates.desired import DirectorState, decode_state
from lbstates.vrrp import VrrpInstance
from lbwire.messages import State

from .conftest import HOSTS, WEB, Refusal, Site, ask, eventually
from .fake_minion import FakeMinion


async def test_a_push_stages_everywhere_then_releases_wave_by_wave(site: Site) -> None:
    """All hosts stage before one is released; directors come after real servers; the outcome is converged."""
    for name in HOSTS:
        await site.minion(name)
    result, notes = await ask(site.config.control_socket, "push", text=WEB, by="me@here")
    assert (result["cluster"], result["generation"], result["outcome"]) == ("web", 1, "converged")
    assert {host: it["state"] for host, it in result["hosts"].items()} == dict.fromkeys(HOSTS, "applied")
    phases = [(note["phase"], note.get("host")) for note in notes]
    first_release = phases.index(("released", "r1"))
    assert all(phases.index(("staged", host)) < first_release for host in HOSTS)
    assert all(phases.index(("applied", r)) < phases.index(("released", d)) for r in ("r1", "r2") for d in ("d1", "d2"))
    assert [e["data"]["outcome"] for e in await site.events("push.finished")] == ["converged"]
    assert not [refusal for minion in site.minions.values() for refusal in minion.refusals]


@pytest.mark.pitfall("H7")
async def test_a_second_push_is_broadcast_and_the_active_director_comes_last(site: Site) -> None:
    """Who holds the VIP is released after the standby; nobody's number is repeated."""
    await site.cluster()
    site.minions["d1"].enter("MASTER")
    await site.event("failover")
    result, notes = await ask(site.config.control_socket, "push", text=WEB)
    assert (result["generation"], result["outcome"]) == (2, "converged")
    assert {n["host"]: n["wave"] for n in notes if n["phase"] == "released"} == {"r1": 1, "r2": 1, "d2": 2, "d1": 3}
    assert not [refusal for minion in site.minions.values() for refusal in minion.refusals]


async def test_hosts_that_never_joined_are_named_and_no_generation_is_used(site: Site) -> None:
    """The push names them all; the next push is generation 1."""
    await site.minion("d1")
    with pytest.raises(Refusal) as refusal:
        await site.ask("push", text=WEB)
    assert refusal.value.kind == "never_joined"
    assert "d2, r1, r2" in str(refusal.value)
    for name in ("d2", "r1", "r2"):
        await site.minion(name)
    assert (await site.ask("push", text=WEB))["generation"] == 1


async def test_an_absent_host_is_named_with_when_it_was_last_heard_of(site: Site) -> None:
    """A lease that ran out makes a push impossible, not a rollout that hangs."""
    await site.cluster()
    await site.minions["r2"].close()
    await site.event("minion.lost")
    site.minions["r1"].seen.clear()
    with pytest.raises(Refusal, match=r"not there: r2 \(last heard of \d+ s ago\)") as refusal:
        async with asyncio.timeout(20):
            await site.ask("push", text=WEB)
    assert refusal.value.kind == "absent"
    assert (await site.ask("status"))["clusters"]["web"]["generation"] == 1


async def test_a_second_push_of_the_same_cluster_is_told_who_is_first(site: Site) -> None:
    """`busy`, with the generation that is under way."""
    await site.cluster()
    site.minions["r1"].obeys = False
    first = asyncio.create_task(site.ask("push", text=WEB, timeout=2))
    await eventually(lambda: any(type(m).__name__ == "State" for m in site.minions["r2"].seen[-3:]))
    with pytest.raises(Refusal, match="generation 2 of web") as refusal:
        await site.ask("push", text=WEB)
    assert refusal.value.kind == "busy"
    assert (await first)["outcome"] == "failed"


async def test_one_refusal_at_staging_fails_the_push_and_nothing_is_released(site: Site) -> None:
    """The problem is the host's own words; the others keep what they have."""
    await site.cluster()
    site.minions["d2"].refuses = "keepalived does not like line 3"
    result = await site.ask("push", text=WEB)
    assert result["outcome"] == "failed"
    assert "keepalived does not like line 3" in result["hosts"]["d2"]["problem"]
    assert [minion.applied["web"] for minion in site.minions.values()] == [1, 1, 1, 1]
    status = (await site.ask("status"))["clusters"]["web"]
    assert (status["generation"], status["released"]) == (2, 1)


async def test_a_host_that_cannot_apply_stops_the_waves_behind_it(site: Site) -> None:
    """Directors stay as they are when a real server fails, and are said to be held back."""
    await site.cluster()
    site.minions["r1"].fails = "no such interface"
    result = await site.ask("push", text=WEB, options={"rollback": False})
    assert result["outcome"] == "failed"
    assert "no such interface" in result["hosts"]["r1"]["problem"]
    assert "not released" in result["hosts"]["d1"]["problem"]
    assert site.minions["d1"].applied["web"] == 1


async def test_a_bad_file_is_refused_with_its_findings(site: Site) -> None:
    """Line, field, what is wrong and what would be right come back for the editor."""
    with pytest.raises(Refusal) as refusal:
        await site.ask("push", text=WEB.replace("10.0.0.12", "10.0.0.11"), file="web.yaml")
    assert refusal.value.kind == "bad_file"
    assert {"line", "field", "wrong", "right", "severity"} <= refusal.value.error["findings"][0].keys()


async def test_a_plan_asks_every_host_and_changes_nothing(site: Site) -> None:
    """Steps per host, an error for one that does not answer, and no generation used."""
    await site.cluster()
    site.minions["d1"].answers = False
    plan = await site.ask("plan", text=WEB, timeout=0.5)
    assert len(plan["hosts"]["r1"]["steps"]) == 1
    assert plan["hosts"]["d1"]["error"]
    assert (await site.ask("status"))["clusters"]["web"]["generation"] == 1


async def test_a_host_that_restarts_in_the_middle_of_a_push_catches_up_and_the_push_converges(site: Site) -> None:
    """Killed after its release and before it applied: its hello brings the release again."""
    await site.cluster()
    victim = site.minions["r1"]
    victim.obeys = False
    push = asyncio.create_task(site.ask("push", text=WEB))
    await eventually(lambda: any(type(m).__name__ == "State" for m in victim.seen[-3:]))
    await victim.close()
    victim.obeys = True
    victim.connect(site.ports, site.server_key)
    assert (await push)["outcome"] == "converged"


async def test_a_host_that_was_away_during_the_release_catches_up_with_a_release_of_its_own(site: Site) -> None:
    """It comes back with an old disk: the same signed bytes and a fresh release bring it up to date."""
    await site.cluster()
    minion = site.minions["r1"]
    await minion.close()
    minion.applied, minion.memory = {}, type(minion.memory)()
    minion.boot, minion.last = 2, (0, 0)
    minion.connect(site.ports, site.server_key)
    await eventually(lambda: minion.applied.get("web") == 1)
    assert not minion.refusals


async def test_a_host_taken_out_of_the_file_is_told_so_last(site: Site) -> None:
    """A removed real server leaves after the directors have stopped sending to it; the next push is without it."""
    await site.cluster()
    without = WEB.replace("  r2: 10.0.0.12\n", "")
    result, notes = await ask(site.config.control_socket, "push", text=without)
    assert result["outcome"] == "converged"
    released = [n["host"] for n in notes if n["phase"] == "released"]
    assert released[-1] == "r2"
    assert "r2" in (await site.ask("status"))["unassigned"]
    assert set((await site.ask("push", text=without))["hosts"]) == {"d1", "d2", "r1"}


async def test_the_push_goes_on_when_nobody_watches_any_more(site: Site) -> None:
    """Ctrl-C at the command line ends the watching, not the push."""
    await site.cluster()
    site.minions["r1"].obeys = False
    _, writer = await asyncio.open_unix_connection(site.config.control_socket)
    writer.write(b'{"verb": "push", "text": %s}\n' % __import__("json").dumps(WEB).encode())
    await eventually(lambda: any(type(m).__name__ == "State" for m in site.minions["r2"].seen[-3:]))
    writer.close()
    site.minions["r1"].obeys = True
    finished = await site.event("push.finished", since=(await site.events("push.started"))[-1]["cursor"])
    assert finished["data"]["outcome"] == "converged"


async def test_a_push_is_resumed_after_the_master_was_restarted(site: Site) -> None:
    """What was staged when the master went down is rolled out when it is back, without help."""
    await site.cluster()
    slow: FakeMinion = site.minions["r1"]
    slow.obeys = False
    push = asyncio.create_task(site.ask("push", text=WEB))
    await eventually(lambda: any(type(m).__name__ == "State" for m in slow.seen[-3:]))
    await site.stop()
    with pytest.raises(EOFError):
        await push
    for minion in site.minions.values():
        await minion.close()
    await site.start()
    slow.obeys = True
    for minion in site.minions.values():
        minion.connect(site.ports, site.server_key)
    await eventually(lambda: all(minion.applied["web"] == 2 for minion in site.minions.values()))
    cursor = (await site.events("push.started"))[-1]["cursor"]
    assert (await site.event("push.finished", since=cursor))["data"]["outcome"] == "converged"


async def test_a_host_that_changes_its_role_gets_its_new_part(site: Site) -> None:
    """It does not follow the broadcasts of a role that it never had."""
    await site.cluster()
    moved = WEB.replace("  r2: 10.0.0.12\n", "").replace("  d2: 10.0.0.2\n", "  d2: 10.0.0.2\n  r2: 10.0.0.12\n")
    result = await site.ask("push", text=moved)
    assert result["outcome"] == "converged", result
    held = {audience: state.generation for audience, state in site.minions["r2"].memory.states["web"].items()}
    assert held == {"role:director": 2, "role:realserver": 2}


async def test_a_release_whose_number_was_overtaken_is_sent_again(site: Site) -> None:
    """A later command says nothing about whether this one has come."""
    await site.cluster()
    slow = site.minions["d2"]
    slow.loses_releases = 1
    result = await site.ask("push", text=WEB, timeout=20)
    assert result["outcome"] == "converged", result
    assert slow.loses_releases == 0


async def test_what_an_earlier_push_chose_stays_where_the_file_allows_it(site: Site) -> None:
    """A VIP that is put before another in the file moves nothing: homes and VRIDs are kept."""
    await site.cluster()
    (www,) = told(site.minions["d1"])
    more = WEB.replace("vips:\n", "vips:\n  aaa: 10.0.0.101/24\n")
    assert (await site.ask("push", text=more))["outcome"] == "converged"
    aaa, again = told(site.minions["d1"])
    assert (aaa.name, again) == ("aaa", www)
    # The new one is at home where nothing was yet.
    assert max(aaa.priorities, key=lambda d: aaa.priorities[d]) != max(www.priorities, key=lambda d: www.priorities[d])


def told(director: FakeMinion) -> tuple[VrrpInstance, ...]:
    """The VRRP instances of the last state that it got."""
    state = decode_state([message for message in director.seen if isinstance(message, State)][-1].desired)
    assert isinstance(state, DirectorState)
    return state.instances
