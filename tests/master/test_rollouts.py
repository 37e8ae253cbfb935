"""Rollouts under an operator's hand: canaries, pauses, absent and dying hosts, a queue, history and going back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lbmaster import service
from lbmaster.store import Store, open_store
from lbwire.messages import Figures, State

from .conftest import HOSTS, WEB, Refusal, Site, ask, eventually

MORE = WEB.replace("port: 80", "port: 81")


async def phase(site: Site) -> str:
    found = (await site.ask("status"))["clusters"]["web"]["rollout"]
    return str(found["phase"]) if found else ""


async def until(site: Site, wanted: str) -> None:
    """Wait until the rollout is in a phase."""
    async with asyncio.timeout(10):
        while await phase(site) != wanted:
            await asyncio.sleep(0.02)


async def history(site: Site) -> list[tuple[int, str, str]]:
    rows = (await site.ask("history", cluster="web"))["generations"]
    return [(row["generation"], row["kind"], row["status"]) for row in rows]


def applied(site: Site) -> list[int]:
    return [site.minions[host].applied.get("web", 0) for host in HOSTS]


async def test_canaries_go_first_and_the_rollout_waits_for_an_operator(site: Site) -> None:
    """A share of the real servers, at least one; the others get it when somebody says so, and the journal knows who."""
    await site.cluster()
    options = {"canary": "10%", "pause": "canary"}
    push = asyncio.create_task(ask(site.config.control_socket, "push", text=MORE, options=options))
    await until(site, "paused")
    assert applied(site) == [1, 1, 2, 1]
    assert (await site.ask("rollout.resume", by="ann@here"))["generation"] == 2
    result, notes = await push
    assert (result["outcome"], applied(site)) == ("converged", [2, 2, 2, 2])
    assert "paused" in [note["phase"] for note in notes]
    paused = await site.events("push.paused")
    assert [(it["data"]["wave"], it["data"]["resumed"], it["data"]["by"]) for it in paused] == [
        (1, False, ""),
        (1, True, "ann@here"),
    ]


async def test_a_rollout_can_pause_behind_every_wave_and_be_paused_on_its_way(site: Site) -> None:
    """`every wave`: two waits with three waves; nothing waits behind the last one."""
    await site.cluster()
    push = asyncio.create_task(site.ask("push", text=WEB, options={"pause": "every wave"}))
    for done in ([1, 1, 2, 2], [2, 1, 2, 2]):
        await until(site, "paused")
        assert applied(site) == done
        await site.ask("rollout.resume", cluster="web")
    assert (await push)["outcome"] == "converged"


async def test_a_rollout_is_paused_on_its_way_but_not_behind_its_last_wave(site: Site) -> None:
    """Behind the present wave; behind the last one there is nothing to wait for."""
    await site.cluster()
    first, last = site.minions["r1"], site.minions["d2"]
    first.loses_releases = 1
    push = asyncio.create_task(site.ask("push", text=WEB))
    await eventually(lambda: not first.loses_releases)
    await site.ask("rollout.pause", by="ann@here")
    await until(site, "paused")
    assert applied(site) == [1, 1, 2, 2]
    last.loses_releases = 2  # it hears of d1's, too
    await site.ask("rollout.resume")
    await eventually(lambda: not last.loses_releases)
    with pytest.raises(Refusal, match="the last wave"):
        await site.ask("rollout.pause")
    assert (await push)["outcome"] == "converged"


async def test_what_is_left_after_a_pause_is_ordered_by_who_holds_what_then(site: Site) -> None:
    """The VIP has failed over while somebody was waited for: its new holder is not changed as a standby."""
    await site.cluster()
    d1, d2 = site.minions["d1"], site.minions["d2"]
    d2.enter("BACKUP")
    d1.enter("MASTER")
    first = await site.event("failover")
    push = asyncio.create_task(ask(site.config.control_socket, "push", text=MORE, options={"pause": "every wave"}))
    await until(site, "paused")
    d1.enter("BACKUP")
    d2.enter("MASTER")
    await site.event("failover", since=first["cursor"])
    await site.ask("rollout.resume")
    await until(site, "paused")
    assert applied(site) == [2, 1, 2, 2]
    going = (await site.ask("rollout.status"))["clusters"]["web"]
    assert [wave["purpose"] for wave in going["waves"]][1:] == ["standby director d1", "d2 with www"]
    await site.ask("rollout.resume")
    result, _ = await push
    assert (result["outcome"], applied(site)) == ("converged", [2, 2, 2, 2])


async def test_an_abort_takes_a_rollout_back_and_with_keep_leaves_it(site: Site) -> None:
    """Aborted in a pause: the canary gets the old content again; `keep` stops where it is."""
    await site.cluster()
    options = {"canary": "1", "pause": "canary"}
    push = asyncio.create_task(site.ask("push", text=MORE, options=options))
    await until(site, "paused")
    await site.ask("rollout.abort", by="ann")
    result = await push
    assert (result["outcome"], result["rollback"]["outcome"], applied(site)) == ("rolled_back", "converged", [3] * 4)
    push = asyncio.create_task(site.ask("push", text=MORE, options=options))
    await until(site, "paused")
    aborted = await site.ask("rollout.abort", keep=True)
    assert (aborted["stays"], aborted["file_of"]) == ("kept", 3)
    result = await push
    assert (result["outcome"], result["stays"], result["released"]) == ("aborted", "kept", 3)
    assert applied(site) == [3, 3, 4, 3]
    assert await history(site) == [
        (4, "push", "failed"), (3, "rollback", "converged"), (2, "push", "rolled_back"), (1, "push", "converged"),
    ]  # fmt: skip


async def test_what_is_decided_after_an_abort_that_keeps_rolls_out_the_file_before(site: Site) -> None:
    """Also on the host that stayed at the new one: abort names the generation, so that nobody is surprised."""
    await site.cluster()
    push = asyncio.create_task(site.ask("push", text=MORE, options={"canary": "1", "pause": "canary"}))
    await until(site, "paused")
    assert (await site.ask("rollout.abort", keep=True))["file_of"] == 1
    await push
    assert applied(site) == [1, 1, 2, 1]
    await site.ask("evacuate", director="d1", force=True)
    assert applied(site) == [3] * 4
    assert (await site.ask("diff", older=1, newer=3))["file"] == []


async def test_an_abort_in_the_last_wave_leaves_the_new_file_in_force(site: Site) -> None:
    """Nothing is taken back by what is decided next."""
    await site.cluster()
    push = asyncio.create_task(site.ask("push", text=MORE, options={"pause": "every wave"}))
    while True:
        await until(site, "paused")
        going = (await site.ask("rollout.status"))["clusters"]["web"]
        if going["wave"] == len(going["waves"]) - 1:
            break
        await site.ask("rollout.resume")
    for minion in site.minions.values():
        minion.obeys = False
    await site.ask("rollout.resume")
    await until(site, "applying")
    aborted = await site.ask("rollout.abort", keep=True)
    assert (aborted["stays"], aborted["file_of"]) == ("kept", 0)
    result = await push
    assert (result["outcome"], result["released"]) == ("aborted", 2)


@pytest.fixture
async def disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """The master's disk: called with "full" or "room"."""
    stores: list[Store] = []

    def opened(path: Path) -> Store:
        stores.append(open_store(path))
        return stores[-1]

    monkeypatch.setattr(service, "open_store", opened)
    await site.stop()
    await site.start()
    set_to = {"full": "PRAGMA query_only = ON", "room": "PRAGMA query_only = OFF"}
    return lambda state: stores[0].records._connection.execute(set_to[state])


async def test_a_rollout_goes_on_when_the_disk_has_room_again(site: Site, disk: Callable[[str], object]) -> None:
    """It ends while nothing can be noted: nobody is left hanging, and the cluster is not busy for ever."""
    await site.cluster()
    push = asyncio.create_task(site.ask("push", text=MORE, options={"canary": "1", "pause": "canary"}))
    await until(site, "paused")
    disk("full")
    with suppress(Refusal):
        await site.ask("rollout.abort")
    with pytest.raises(Refusal, match="generation 2 of web is being rolled out"):
        await site.ask("push", text=WEB)
    disk("room")
    result = await push
    assert (result["outcome"], result["rollback"]["outcome"], applied(site)) == ("rolled_back", "converged", [3] * 4)
    assert (await site.ask("push", text=WEB))["generation"] == 4


async def test_a_full_disk_keeps_no_loss_from_a_rollout_or_the_journal(
    site: Site, disk: Callable[[str], object]
) -> None:
    """Two minions are lost while nothing can be written: the rollout hears it at once, the journal when there is room."""
    await site.cluster()
    disk("full")
    for name in ("r1", "r2"):
        await site.minions[name].close()

    async def lost() -> set[str]:
        hosts = (await site.ask("status"))["clusters"]["web"]["hosts"]
        return {name for name, host in hosts.items() if not host["online"]}

    async with asyncio.timeout(10):
        while await lost() != {"r1", "r2"}:
            await asyncio.sleep(0.05)
    disk("room")
    async with asyncio.timeout(10):
        while {event["data"]["host"] for event in await site.events("minion.lost")} != {"r1", "r2"}:
            await asyncio.sleep(0.05)


async def test_a_failover_while_the_disk_is_full_is_told_when_it_has_room(
    site: Site, disk: Callable[[str], object], caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that is known by samples only, since no transition can be journalled; once, although that comes later."""
    await site.cluster()
    d1, d2 = site.minions["d1"], site.minions["d2"]
    d2.enter("BACKUP")
    d1.enter("MASTER")
    first = await site.event("failover")
    disk("full")
    d1.enter("BACKUP")
    d2.enter("MASTER")
    await eventually(lambda: "no command number can be kept" in caplog.text)
    disk("room")
    told = await site.event("failover", since=first["cursor"])
    assert (told["data"]["source"], told["data"]["target"]) == ("d1", "d2")
    for minion in (d1, d2):
        minion.hello()  # and sends again what was not journalled
    await eventually(lambda: not d1._kept and not d2._kept)
    assert len(await site.events("failover", since=first["cursor"])) == 1


async def test_a_rollback_in_two_steps_says_to_what(site: Site) -> None:
    """Also when what leaves is drained first."""
    await site.cluster()
    await site.ask("push", text=MORE)
    ended = Figures("tcp 10.0.0.100:81 -> 10.0.0.11:81", 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, inactive=9)
    for host in ("d1", "d2"):
        site.minions[host].destinations = (ended,)
    await asyncio.sleep(0.5)  # a sample or two
    assert (await site.ask("rollback", generation=1))["generation"] == 4
    rows = (await site.ask("history", cluster="web"))["generations"]
    assert [(row["generation"], row["kind"], row["content_of"]) for row in rows[:2]] == [
        (4, "rollback", 1), (2, "push", 0),
    ]  # fmt: skip


async def test_verbs_of_a_rollout_need_one(site: Site) -> None:
    """They say that nothing is under way; what does not wait cannot be resumed."""
    await site.cluster()
    for verb in ("rollout.pause", "rollout.resume", "rollout.abort"):
        with pytest.raises(Refusal, match="nothing") as refusal:
            await site.ask(verb)
        assert refusal.value.kind == "bad_request"
    site.minions["r1"].obeys = False
    push = asyncio.create_task(site.ask("push", text=WEB, timeout=3))
    await until(site, "staging")
    with pytest.raises(Refusal, match="does not wait"):
        await site.ask("rollout.resume")
    assert (await site.ask("rollout.abort"))["stays"] == "not_released"
    result = await push
    assert (result["outcome"], result["stays"], result["released"]) == ("aborted", "not_released", 1)


@pytest.mark.parametrize("options", [{"canary": "half"}, {"pause": "now"}, {"drain": -1}, {"sometimes": True}])
async def test_options_that_make_no_sense_are_refused(site: Site, options: dict[str, Any]) -> None:
    """By their name, before anything is done."""
    with pytest.raises(Refusal, match="options"):
        await site.ask("push", text=WEB, options=options)


async def test_a_host_that_may_be_missing_catches_up_when_it_returns(site: Site) -> None:
    """The push converges without it and names it; it gets the generation when it is back."""
    await site.cluster()
    gone = site.minions["r2"]
    await gone.close()
    await site.event("minion.lost")
    with pytest.raises(Refusal, match="--allow-missing r2"):
        await site.ask("push", text=MORE)
    result = await site.ask("push", text=MORE, options={"allow_missing": ["r2"]})
    assert (result["outcome"], result["missing"]) == ("converged", ["r2"])
    gone.boot, gone.last = 2, (0, 0)
    gone.connect(site.ports, site.server_key)
    await eventually(lambda: gone.applied["web"] == 2)


async def test_a_host_that_dies_in_its_wave_fails_the_push_at_once(site: Site) -> None:
    """The lease decides, not the timeout; the others go back, and it does when it returns."""
    await site.cluster()
    victim = site.minions["r2"]
    victim.obeys = False
    victim.on_release = lambda: None
    loop = asyncio.get_running_loop()
    victim.obeys, victim.loses_releases = True, 99

    def dies() -> None:
        task = loop.create_task(victim.close())
        task.add_done_callback(lambda _: None)

    site.minions["r1"].on_release = dies
    began = loop.time()
    result = await site.ask("push", text=MORE, timeout=60)
    assert loop.time() - began < 10
    assert result["outcome"] in ("rolled_back", "failed")
    assert "lost" in result["hosts"]["r2"]["problem"]
    assert [site.minions[host].applied["web"] for host in ("d1", "d2", "r1")] == [3, 3, 3]
    victim.loses_releases, victim.boot, victim.last = 0, 2, (0, 0)
    site.minions["r1"].on_release = lambda: None
    victim.connect(site.ports, site.server_key)
    await eventually(lambda: victim.applied["web"] == 3)


async def test_a_second_push_can_queue_behind_the_first(site: Site) -> None:
    """It is refused with the first one's name, or waits its turn and is made of what is in force then."""
    await site.cluster()
    options = {"canary": "1", "pause": "canary"}
    first = asyncio.create_task(site.ask("push", text=WEB, options=options, by="ann@here"))
    await until(site, "paused")
    with pytest.raises(Refusal, match=r"generation 2 of web is being rolled out \(push by ann@here"):
        await site.ask("push", text=MORE)
    second = asyncio.create_task(ask(site.config.control_socket, "push", text=MORE, options={"wait": True}))
    await asyncio.sleep(0.2)
    await site.ask("rollout.resume")
    assert (await first)["generation"] == 2
    result, notes = await second
    assert (result["outcome"], result["generation"]) == ("converged", 3)
    assert notes[0]["phase"] == "queued"


async def test_who_leaves_the_queue_gets_no_generation(site: Site) -> None:
    """Nobody stands in it for him."""
    await site.cluster()
    first = asyncio.create_task(site.ask("push", text=WEB, options={"canary": "1", "pause": "canary"}))
    await until(site, "paused")
    reader, writer = await asyncio.open_unix_connection(site.config.control_socket)
    writer.write(msgspec.json.encode({"verb": "push", "text": MORE, "options": {"wait": True}}) + b"\n")
    assert b"queued" in await reader.readline()
    writer.close()
    await site.ask("rollout.resume")
    await first
    assert (await site.ask("push", text=WEB))["generation"] == 3


async def test_history_difference_and_going_back(site: Site) -> None:
    """An earlier file is in force again under a new number; what is different between two generations is told."""
    await site.cluster()
    await site.ask("push", text=MORE, by="ann@here", reason="ticket 7")
    found = await site.ask("diff", older=1, newer=2)
    assert "-    port: 80" in found["file"]
    assert "+    port: 81" in found["file"]
    assert 'director services.10.0.0.100/tcp/81.scheduler: nothing -> "wlc"' in found["states"]
    result = await site.ask("rollback", generation=1, by="bob@here", reason="it hurts")
    assert (result["outcome"], result["generation"]) == ("converged", 3)
    rows = (await site.ask("history"))["generations"]
    assert [(row["kind"], row["content_of"], row["by"], row["reason"]) for row in rows] == [
        ("rollback", 1, "bob@here", "it hurts"), ("push", 0, "ann@here", "ticket 7"), ("push", 0, "somebody", ""),
    ]  # fmt: skip
    assert (await site.ask("diff", older=1, newer=3))["file"] == []
    for verb, arguments in (("rollback", {"generation": 9}), ("diff", {"older": 1, "newer": 9})):
        with pytest.raises(Refusal) as refusal:
            await site.ask(verb, **arguments)
        assert refusal.value.kind == "unknown_generation"


async def test_what_operators_decided_stays_in_force_over_pushes_and_ends_with_its_host(site: Site) -> None:
    """A drain is part of the next generations; a file without its host drops it, and the answer says so."""
    await site.cluster()
    assert (await site.ask("drain", host="r2", by="ann"))["outcome"] == "converged"
    assert drained(site) == {"10.0.0.11": False, "10.0.0.12": True}
    assert (await site.ask("push", text=WEB))["outcome"] == "converged"
    assert drained(site) == {"10.0.0.11": False, "10.0.0.12": True}
    found = await site.ask("diff", older=1, newer=3)
    assert found["interventions"] == ["+ drain r2 (by ann)"]
    result = await site.ask("push", text=WEB.replace("  r2: 10.0.0.12\n", ""), options={"below_floor": True})
    assert result["dropped"] == ["drain of r2"]
    assert (await site.ask("history"))["generations"][0]["interventions"] == []


def drained(site: Site) -> dict[str, bool]:
    (service,) = [m for m in site.minions["d1"].seen if isinstance(m, State)][-1].desired["services"]
    return {it["address"]: it["drained"] for it in service["destinations"]}


async def test_only_so_many_generations_are_kept(site: Site) -> None:
    """The last ones, and those that are in force."""
    await site.cluster()
    for _ in range(site.config.generations_kept + 2):
        assert (await site.ask("push", text=WEB))["outcome"] == "converged"
    rows = (await site.ask("history", limit=1000))["generations"]
    assert len(rows) == site.config.generations_kept
