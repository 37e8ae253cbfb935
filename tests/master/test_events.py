"""Events: journalled once and in order, acknowledged after, followed by subscribers, and answered with reactions."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from lbmaster.holders import BELIEVE_SAMPLES_SECONDS
from lbwire.events import DriftFound, MinionStarted, VrrpTransition
from lbwire.messages import Event, Events, Role

from .conftest import Refusal, Site, ask, eventually
from .fake_minion import STEP


def identities(events: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(event["boot"], event["sequence"]) for event in events if event["minion"] == "a"]


async def test_events_are_journalled_in_order_and_acknowledged(site: Site) -> None:
    """The acknowledgement names the last event in the journal."""
    minion = await site.minion("a")
    minion.report(*(MinionStarted(str(i)) for i in range(50)))
    await eventually(lambda: (1, 50) in minion.acks)
    assert identities(await site.events("minion.started")) == [(1, i) for i in range(1, 51)]


@pytest.mark.pitfall("V13")
async def test_an_event_sent_again_is_in_the_journal_once(site: Site) -> None:
    """A minion that was not told in time sends again; the master skips what it has."""
    minion = await site.minion("a")
    events = tuple(minion.event(MinionStarted("x")) for _ in range(3))
    minion.send(Events(0, 0, events[:2]), Events(0, 0, events), Events(1, 1, events[1:]))
    await eventually(lambda: (1, 3) in minion.acks)
    assert identities(await site.events("minion.started")) == [(1, 1), (1, 2), (1, 3)]


async def test_nothing_behind_a_gap_is_taken_until_the_gap_is_filled(site: Site) -> None:
    """The acknowledgement says what the master has, so that the minion sends from there."""
    minion = await site.minion("a")
    first, second, third = (minion.event(MinionStarted("x")) for _ in range(3))
    minion.send(Events(0, 0, (first,)))
    await eventually(lambda: (1, 1) in minion.acks)
    await asyncio.sleep(0.3)
    minion.acks.clear()
    minion.send(Events(1, 2, (third,)))
    await eventually(lambda: (1, 1) in minion.acks)
    minion.send(Events(1, 1, (second, third)))
    await eventually(lambda: (1, 3) in minion.acks)
    assert identities(await site.events("minion.started")) == [(1, 1), (1, 2), (1, 3)]


async def test_hello_is_answered_with_what_the_journal_has(site: Site) -> None:
    """So a minion knows at once where to go on, also after the master was restarted."""
    minion = await site.minion("a")
    minion.report(MinionStarted("x"))
    await eventually(lambda: (1, 1) in minion.acks)
    await minion.close()
    await site.stop()
    await site.start()
    minion.acks.clear()
    minion.connect(site.ports, site.server_key)
    await eventually(lambda: (1, 1) in minion.acks)


@pytest.mark.parametrize("lie", ["failover", "minion.lost", "key.accepted"])
async def test_a_minion_cannot_say_what_only_the_master_concludes(site: Site, lie: str) -> None:
    """It stands in the journal as refused, so that its sequence has no hole."""
    minion = await site.minion("a")
    minion.send_events((Event(1, 1, lie, 0.0, "web", {}),))
    await eventually(lambda: (1, 1) in minion.acks)
    assert not [e for e in await site.events(lie) if e["minion"] == "a"]
    (refused,) = [e for e in await site.events("message.refused") if e["minion"] == "a"]
    assert lie in refused["data"]["text"]


async def test_events_of_types_that_the_master_does_not_know_are_kept(site: Site) -> None:
    """A newer minion's events reach the subscribers as they are."""
    minion = await site.minion("a")
    minion.send_events((Event(1, 1, "weather.changed", 0.0, "web", {"new": [1, 2]}),))
    await eventually(lambda: (1, 1) in minion.acks)
    assert (await site.events("weather.*"))[0]["data"] == {"new": [1, 2]}


RUBBISH = (
    b"", b"\xc1", b"\x00" * 3000, b"\x81\xa4type\xa5hello", b"\xdd\xff\xff\xff\xff", b"\x91" * 2000,
    msgspec.msgpack.encode({"type": "events", "after_boot": 0, "after_sequence": 0, "events": [{"boot": -1}]}),
    msgspec.msgpack.encode({"type": "sample", "time": 0.0, "holdings": {"../../x": {}}, "roles": {}, "drift": 0}),
)  # fmt: skip


async def test_rubbish_from_an_accepted_minion_is_counted_and_hurts_nobody(site: Site) -> None:
    """The next good message, of this minion or of another, is dealt with."""
    bad, good = await site.minion("b"), await site.minion("a")
    bad.send(*RUBBISH)
    twice = bad.event(MinionStarted("x"))
    bad.send(Events(0, 0, (twice, twice)))
    await bad.uplink.send_multipart([b"too", b"many", b"frames"])
    good.report(MinionStarted("x"))
    bad.report(MinionStarted("y"))
    await eventually(lambda: (1, 1) in good.acks)
    # The sequence of the first event was refused with its message, so this one is behind a gap or is the first.
    assert (await site.ask("ping"))["uptime"] > 0


async def test_a_transition_to_master_has_the_cluster_reconciled_and_a_failover_reported(site: Site) -> None:
    """The failover names from, to, and what was healed where; the very first has no source."""
    await site.cluster()
    d1, d2 = site.minions["d1"], site.minions["d2"]
    d1.enter("MASTER")
    first = await site.event("failover")
    assert (first["data"]["source"], first["data"]["target"], first["data"]["vips"]) == ("", "d1", ["10.0.0.100/24"])
    site.minions["r1"].healed = (STEP,)
    d1.enter("STOP")
    d2.enter("MASTER")
    second = await site.event("failover", since=first["cursor"])
    data = second["data"]
    assert (data["source"], data["target"], data["silent"]) == ("d1", "d2", [])
    assert list(data["healed"]) == ["r1"]
    assert 0 < data["seconds"] < 1
    vip = (await site.ask("status"))["clusters"]["web"]["vips"]["10.0.0.100/24"]
    assert (vip["holder"], vip["masters"]) == ("d2", ["d2"])


async def test_a_host_that_does_not_answer_is_named_as_silent(site: Site) -> None:
    """The failover is reported at the deadline, not never."""
    await site.cluster()
    site.minions["r2"].answers = False
    site.minions["d1"].enter("MASTER")
    assert (await site.event("failover"))["data"]["silent"] == ["r2"]


async def test_a_master_that_returns_to_itself_is_no_failover_but_is_reconciled(site: Site) -> None:
    """keepalived flaps for a moment when somebody deletes its VIP."""
    await site.cluster()
    d1 = site.minions["d1"]
    d1.enter("MASTER")
    first = await site.event("failover")
    before = len([m for m in site.minions["r1"].seen if type(m).__name__ == "Reconcile"])
    d1.enter("BACKUP")
    d1.enter("MASTER")
    await eventually(lambda: len([m for m in site.minions["r1"].seen if type(m).__name__ == "Reconcile"]) > before)
    await asyncio.sleep(0.2)
    assert not await site.events("failover", since=first["cursor"])


async def test_a_host_outside_the_cluster_changes_nothing_in_it(site: Site) -> None:
    """Who has no part in a cluster cannot make it reconcile, nor hold its VIP."""
    await site.cluster()
    stranger = await site.minion("x")
    stranger.enter("MASTER")
    await eventually(lambda: (1, 1) in stranger.acks)
    real_server = site.minions["r1"]
    real_server.enter("MASTER")
    await eventually(lambda: (1, 3) in real_server.acks)
    assert not await site.events("failover")


@pytest.mark.pitfall("V1")
async def test_two_masters_for_longer_than_the_grace_are_a_split_brain(site: Site) -> None:
    """Its beginning and its end are reported."""
    await site.cluster()
    for name in ("d1", "d2"):
        site.minions[name].enter("MASTER")
    split = await site.event("vrrp.split_brain")
    assert sorted(split["data"]["masters"]) == ["d1", "d2"]
    assert (await site.ask("status"))["clusters"]["web"]["vips"]["10.0.0.100/24"]["holder"] is None
    site.minions["d1"].enter("BACKUP")
    assert (await site.event("vrrp.split_brain_ended"))["data"]["masters"] == ["d2"]
    # To the whole cluster: whoever is MASTER knows himself, and the master may be wrong.
    await eventually(lambda: all(set(site.minions[name].announced) == {"www"} for name in ("d1", "d2", "r1")))


@pytest.mark.pitfall("V12")
async def test_the_other_master_of_a_split_announces_its_vips_when_one_is_lost(site: Site) -> None:
    """Its power was cut, which ends a split and tells nobody that it yields."""
    await site.cluster()
    for name in ("d2", "d1"):
        site.minions[name].enter("MASTER")
    await site.event("vrrp.split_brain")
    await site.minions["d2"].close()
    await site.event("minion.lost")
    await eventually(lambda: "www" in site.minions["d1"].announced)


@pytest.mark.pitfall("V14")
async def test_a_minion_whose_lease_ran_out_is_lost_and_its_roles_are_unknown(site: Site) -> None:
    """A dead daemon is never MASTER; when it is back it is online again."""
    await site.cluster()
    d1 = site.minions["d1"]
    d1.enter("MASTER")
    await site.event("failover")
    await d1.close()
    lost = await site.event("minion.lost")
    assert (lost["data"]["host"], lost["data"]["roles"]) == ("d1", {"www": "MASTER"})
    status = (await site.ask("status"))["clusters"]["web"]
    assert status["hosts"]["d1"]["roles"]["www"]["state"] == "unknown"
    assert status["vips"]["10.0.0.100/24"]["holder"] is None
    d1.connect(site.ports, site.server_key)
    assert (await site.event("minion.online", since=lost["cursor"]))["data"]["host"] == "d1"


async def test_a_minion_that_vanished_while_the_master_was_down_is_reported(site: Site) -> None:
    """The journal tells the story truthfully across restarts."""
    gone = await site.minion("gone")
    stays = await site.minion("stays")
    await eventually(lambda: gone.acks and stays.acks)
    await site.stop()
    for minion in (gone, stays):
        await minion.close()
    await site.start()
    stays.connect(site.ports, site.server_key)
    assert (await site.event("minion.lost"))["data"]["host"] == "gone"
    assert [e["data"]["host"] for e in await site.events("minion.online")] == ["gone", "stays"]


async def test_a_subscriber_gets_everything_after_its_cursor_once_and_in_order(site: Site) -> None:
    """From the journal first, then live, with nothing missed in between."""
    minion = await site.minion("a")
    minion.report(*(MinionStarted("x") for _ in range(700)))
    await eventually(lambda: (1, 700) in minion.acks)
    following = asyncio.create_task(
        ask(site.config.events_socket, "events", since=0, follow=True, types=["minion.started"], limit=1000)
    )
    for _ in range(30):
        minion.report(*(MinionStarted("x") for _ in range(10)))
        await asyncio.sleep(0.005)
    _, notes = await following
    assert identities(notes) == [(1, i) for i in range(1, 1001)]
    assert [n["cursor"] for n in notes] == sorted({n["cursor"] for n in notes})


async def test_a_subscriber_that_does_not_read_costs_the_others_nothing(site: Site) -> None:
    """Its position waits in the journal; the quick one has everything long before."""
    minion = await site.minion("a")
    reader, writer = await asyncio.open_unix_connection(site.config.events_socket, limit=1024)
    writer.write(b'{"verb": "events", "since": 0, "follow": true}\n')
    quick = asyncio.create_task(
        ask(site.config.events_socket, "events", since=0, follow=True, types=["drift.found"], limit=3000)
    )
    bulky = DriftFound("timer", (msgspec.structs.replace(STEP, detail="x" * 2000),))
    for _ in range(30):
        minion.report(*(bulky for _ in range(100)))
        await asyncio.sleep(0)
    _, notes = await quick
    assert len(notes) == 3000
    await reader.read(100)
    writer.close()


async def test_filters_pass_by_type_host_and_cluster(site: Site) -> None:
    """A host's events are also what the master concludes of it."""
    a, b = await site.minion("a"), await site.minion("b")
    for minion in (a, b):
        minion.report(MinionStarted("x"), DriftFound("timer", ()), cluster="web" if minion is a else "")
        await eventually(lambda minion=minion: (1, 2) in minion.acks)
    socket = site.config.control_socket
    _, notes = await ask(socket, "events", since=0, hosts=["a"], types=["minion.*", "key.*"])
    assert [n["type"] for n in notes] == ["key.accepted", "minion.online", "minion.started"]
    _, notes = await ask(socket, "events", since=0, cluster="web")
    assert {n["minion"] for n in notes} == {"a"}
    result, notes = await ask(socket, "events", limit=2)
    assert notes[-1]["cursor"] == result["cursor"]
    assert len(notes) == 2


@pytest.mark.parametrize(
    "wrong", [{"since": -1}, {"since": "x"}, {"limit": -5}, {"types": "vrrp"}, {"colour": 1}, {"hosts": [1]}]
)
async def test_wrong_arguments_are_a_bad_request(site: Site, wrong: dict[str, object]) -> None:
    """The answer names the place."""
    with pytest.raises(Refusal, match="not understood") as refusal:
        await ask(site.config.control_socket, "events", **wrong)
    assert refusal.value.kind == "bad_request"


async def test_reconcile_asks_every_host_and_tells_what_was_healed(site: Site) -> None:
    """Who does not answer in time is silent."""
    await site.cluster()
    site.minions["r1"].healed = (STEP,)
    site.minions["d2"].answers = False
    answer = await site.ask("reconcile", cluster="web", timeout=0.5, reason="test")
    assert len(answer["hosts"]["r1"]["healed"]) == 1
    assert answer["hosts"]["d2"] == {"silent": True}
    with pytest.raises(Refusal) as refusal:
        await site.ask("reconcile", cluster="nowhere")
    assert refusal.value.kind == "unknown_cluster"


async def test_stats_give_the_newest_sample_of_each_director(site: Site) -> None:
    """With its age; a director that sent none has none."""
    await site.cluster()
    stats = (await site.ask("stats", cluster="web"))["clusters"]["web"]
    assert set(stats) == {"d1", "d2"}
    assert stats["d1"]["age"] < 1


async def test_a_vip_that_moved_without_a_word_is_a_failover_when_the_samples_have_said_so(site: Site) -> None:
    """Late or lost transitions must not leave the journal with a holder that is none."""
    await site.cluster()
    site.minions["d1"].enter("MASTER")
    first = await site.event("failover")
    site.minions["d1"].roles["www"] = Role("BACKUP", 100)
    site.minions["d2"].roles["www"] = Role("MASTER", 90)
    second = await site.event("failover", since=first["cursor"])
    assert (second["data"]["source"], second["data"]["target"]) == ("d1", "d2")


async def test_a_sample_that_comes_before_its_transition_makes_one_failover(site: Site) -> None:
    """The transition explains it, so the samples need not be believed."""
    await site.cluster()
    site.minions["d1"].enter("MASTER")
    cursor = (await site.event("failover"))["cursor"]
    site.minions["d1"].roles["www"] = Role("BACKUP", 100)
    site.minions["d2"].roles["www"] = Role("MASTER", 90)
    site.minions["d2"].sample()
    site.minions["d2"].report(VrrpTransition("www", "MASTER", "BACKUP", 90, ("10.0.0.100/24",)))
    await site.event("failover", since=cursor)
    await asyncio.sleep(BELIEVE_SAMPLES_SECONDS + 1)  # nothing to wait for: no second one may come
    moved = await site.events("failover", since=cursor)
    assert [(event["data"]["source"], event["data"]["target"]) for event in moved] == [("d1", "d2")]
