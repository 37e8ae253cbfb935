"""What the reconciler claims to be in force is in force. (The host here is a stand-in whose moments can be chosen.)"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.minion.scene import HOST, SECONDS, Scene

from lbminion.errors import ChangeError, NoIpvs
from lbminion.jobs import Look, Stage
from lbminion.status import undone
from lbstates.kinds.address import Address
from lbstates.plan import Plan
from lbwire.messages import Reconciled


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_release_that_comes_while_the_host_is_looked_at_is_not_claimed_before_it_is_applied(
    scene: Scene,
) -> None:
    """The look that is under way was for the generation before."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        scene.host.may_look.clear()
        scene.host.looks.clear()
        scene.reconciler.ask(Look("timer"))
        await scene.host.looks.wait()
        scene.receive(2, "172.28.128.201")
        scene.holdings.release("c", 2)
        scene.reconciler.ask(Look("push", "c"))
        scene.host.may_look.set()
        applied = await scene.until("state.applied", 2)
    assert applied.generation == 2
    assert {step.identity for step in applied.steps} >= {"lo 172.28.128.201/32", "lo 172.28.128.200/32"}
    assert "drift.found" not in dict(scene.said)


async def test_what_an_operator_keeps_from_being_in_force_is_not_claimed(scene: Scene) -> None:
    """A restart of the minion in the middle of a push must not report it done while keepalived is held."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    scene.host.held = True
    with scene.running():
        scene.reconciler.ask(Look("start", "c", 7))
        async with asyncio.timeout(SECONDS):
            while not scene.answers:
                await asyncio.sleep(0.001)
    assert "state.applied" not in dict(scene.said)
    assert scene.holdings.holding("c").applied == 0
    answer = scene.answers[0]
    assert isinstance(answer, Reconciled)
    assert answer.remaining > 0


async def test_a_push_that_the_kernel_refuses_is_reported_with_its_words_and_tried_again(scene: Scene) -> None:
    """Refused, then, when the host can, applied: without another push."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    scene.host.refuses = [ChangeError("address", "lo 172.28.128.200/32", "no such device")]
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        refused = await scene.until("state.refused")
        scene.host.refuses = []
        scene.reconciler.ask(Look("timer"))
        await scene.until("state.applied")
    assert (refused.phase, refused.generation) == ("apply", 1)
    assert "no such device" in refused.reason


async def test_a_host_that_cannot_be_read_refuses_to_stage(scene: Scene) -> None:
    """With the reason and the way out."""
    scene.receive(1, "172.28.128.200")
    scene.host.broken = NoIpvs()
    with scene.running():
        scene.reconciler.ask(Stage("c", 1))
        refused = await scene.until("state.refused")
    assert refused.phase == "stage"
    assert "modprobe ip_vs" in refused.reason


async def test_the_same_trouble_is_told_once(scene: Scene) -> None:
    """A look every few seconds must not fill the journal."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        scene.host.has["address"].clear()
        scene.host.refuses = [ChangeError("address", "lo 172.28.128.200/32", "no")]
        for number in range(5):
            scene.reconciler.ask(Look("timer", "c", number + 1))
            async with asyncio.timeout(SECONDS):
                while len(scene.answers) <= number:
                    await asyncio.sleep(0.001)
    assert [kind for kind, _ in scene.said].count("drift.unhealed") == 1


async def test_a_release_that_comes_again_once_it_is_in_force_is_no_second_push(scene: Scene) -> None:
    """A push starts a keepalived that an operator has stopped; a message that is repeated does not."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    scene.host.held = True
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        assert not scene.host.held
        scene.host.held = True
        scene.reconciler.ask(Look("push", "c"))
        await scene.idle()
    assert scene.host.held


async def test_what_an_earlier_release_was_told_holds_until_the_next_push(scene: Scene) -> None:
    """The minion was upgraded: its database has a signed state of format 1, and the host is as that says."""
    hosts, vips = {HOST: "172.28.128.10"}, {"172.28.128.200": [HOST]}
    scene.take(1, {"role": "realserver", "cluster": "c", "hosts": hosts, "vips": vips, "format": 1})
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("start"))
        await scene.until("state.applied")
        assert list(scene.host.has["address"]) == ["lo 172.28.128.200/32"]
        scene.receive(2, "172.28.128.200")
        scene.holdings.release("c", 2)
        scene.reconciler.ask(Look("push", "c"))
        applied = await scene.until("state.applied", 2)
    assert applied.steps == ()


async def test_a_foreign_address_is_left_alone(scene: Scene) -> None:
    """Only what is desired or owned is touched."""
    theirs = Address("lo", "10.9.9.9/32")
    scene.host.has["address"][theirs.identity] = theirs
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        scene.receive(2)
        scene.holdings.release("c", 2)
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied", 2)
    assert scene.host.has["address"] == {theirs.identity: theirs}


async def test_a_full_disk_changes_nothing_that_could_not_be_remembered(scene: Scene) -> None:
    """The service goes on, says why, and does it when there is room."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    connection = scene.ledger._connection
    with scene.running():
        connection.execute("PRAGMA query_only = ON")
        scene.reconciler.ask(Look("timer", "c", 1))
        async with asyncio.timeout(SECONDS):
            while not scene.answers:
                await asyncio.sleep(0.001)
        assert not scene.host.has["address"]
        assert "the disk full?" in scene.said[0][1].errors[0]
        connection.execute("PRAGMA query_only = OFF")
        scene.reconciler.ask(Look("timer"))
        await scene.until("state.applied")
    assert list(scene.host.has["address"]) == ["lo 172.28.128.200/32"]


async def test_a_disk_that_fills_up_in_the_middle_of_a_push_does_not_end_the_service(scene: Scene) -> None:
    """The generation is in force, and said to be; that it is will be noted when there is room."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    connection = scene.ledger._connection
    apply = scene.host.apply

    async def and_fill_the_disk(plan: Plan) -> list[ChangeError]:
        errors: list[ChangeError] = await apply(plan)
        connection.execute("PRAGMA query_only = ON")
        return errors

    scene.host.apply = and_fill_the_disk
    with scene.running():
        scene.reconciler.ask(Look("push", "c", 1))
        await scene.until("state.applied")
        await scene.idle()
        assert scene.holdings.holding("c").applied == 0
        connection.execute("PRAGMA query_only = OFF")
        scene.reconciler.ask(Look("timer", "c", 2))
        await scene.idle()
    assert scene.holdings.holding("c").applied == 1
    assert len(scene.answers) == 2


async def test_what_somebody_keeps_deleting_is_contested_and_waits(scene: Scene) -> None:
    """Three repairs at once, then a pause, which is told; a push repairs it at once and begins anew."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        for times in range(1, 4):
            scene.host.has["address"].clear()
            scene.reconciler.tick()
            await scene.until("drift.healed", times)
        scene.host.has["address"].clear()
        scene.reconciler.tick()
        contested = await scene.until("drift.contested")
        await scene.idle()
        assert (contested.kind, contested.identities, contested.times) == ("address", ("lo 172.28.128.200/32",), 3)
        assert not scene.host.has["address"]
        assert scene.reconciler.outcome.drift == 1
        assert "somebody keeps changing it back" in undone(scene.reconciler.outcome)[0]
        assert [kind for kind, _ in scene.said].count("drift.found") == 3
        scene.receive(2, "172.28.128.200")
        scene.holdings.release("c", 2)
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied", 2)
        assert list(scene.host.has["address"]) == ["lo 172.28.128.200/32"]


async def test_a_contested_thing_is_repaired_when_its_pause_is_over(scene: Scene) -> None:
    """Without anything else that happens; and what then stays so is settled."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        for _ in range(4):
            scene.host.has["address"].clear()
            scene.reconciler.tick()
            await scene.idle()
        assert not scene.host.has["address"]
        scene.now += 1
        scene.reconciler.tick()
        await scene.idle()
        assert not scene.host.has["address"]
        scene.now += 1
        scene.reconciler.tick()
        healed = await scene.until("drift.healed", 4)
        assert healed.trigger == "the pause is over"
        scene.now += 100
        scene.reconciler.tick()
        settled = await scene.until("drift.settled")
    assert (settled.identities, settled.times) == (("lo 172.28.128.200/32",), 4)


async def test_nothing_is_looked_at_again_while_nothing_changes(scene: Scene) -> None:
    """Not even what cannot be healed: it is tried again by the timer, not every second."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    scene.host.refuses = [ChangeError("address", "lo 172.28.128.200/32", "no")]
    with scene.running():
        scene.reconciler.tick()
        await scene.idle()
        assert not scene.said
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.refused")
        await scene.idle()
        scene.host.looks.clear()
        for _ in range(5):
            scene.reconciler.tick()
            await scene.idle()
    assert not scene.host.looks.is_set()


async def test_a_flood_of_happenings_asks_for_one_look(scene: Scene) -> None:
    """While the host is looked at, what waits does not grow with what happens; nothing that happened goes unseen."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.host.may_look.clear()
        scene.reconciler.ask(Look("push", "c"))
        await scene.host.looks.wait()
        for _ in range(10_000):
            scene.reconciler.ask(Look("address lo 172.28.128.200/32 vanished"))
        assert scene.reconciler._jobs.qsize() == 1
        scene.host.looks.clear()
        scene.host.may_look.set()
        await scene.idle()
        assert scene.host.looks.is_set()


async def test_what_was_there_already_is_said_to_be_adopted(scene: Scene) -> None:
    """Once; it goes when the file does not want it any more."""
    vip = Address("lo", "172.28.128.200/32")
    scene.host.has["address"][vip.identity] = vip
    scene.receive(1, "172.28.128.200", "172.28.128.201")
    scene.holdings.release("c", 1)
    with scene.running():
        for command in (1, 2):
            scene.reconciler.ask(Look("push", "c", command))
            await scene.idle()
    adopted = [data for kind, data in scene.said if kind == "state.adopted"]
    assert [(it.kind, it.identities) for it in adopted] == [("address", (vip.identity,))]


async def test_a_host_that_cannot_tell_whether_it_changed_is_looked_at_by_the_timer(scene: Scene) -> None:
    """The service goes on."""
    scene.receive(1, "172.28.128.200")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        scene.host.changed = lambda *_: (_ for _ in ()).throw(NoIpvs())
        scene.reconciler.tick()
        await scene.idle()
    assert [kind for kind, _ in scene.said] == ["state.applied"]


async def test_a_cluster_that_wants_reports_is_left_as_it_is_until_the_next_push(scene: Scene) -> None:
    """Found once for each thing, gone when somebody puts it right; a push does it."""
    one, two = Address("lo", "172.28.128.200/32"), Address("lo", "172.28.128.201/32")
    scene.receive(1, "172.28.128.200", "172.28.128.201", drift="report")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        del scene.host.has["address"][one.identity]
        scene.reconciler.tick()
        await scene.until("drift.found")
        scene.reconciler.ask(Look("timer"))
        await scene.idle()
        del scene.host.has["address"][two.identity]
        scene.reconciler.tick()
        found = await scene.until("drift.found", 2)
        await scene.idle()
        assert [step.identity for step in found.steps] == [two.identity]
        assert scene.reconciler.outcome.drift == 2
        assert "only reported" in undone(scene.reconciler.outcome)[0]
        assert not scene.host.has["address"]
        scene.host.has["address"][one.identity] = one
        scene.reconciler.tick()
        gone = await scene.until("drift.gone")
        await scene.idle()
        assert [step.identity for step in gone.steps] == [one.identity]
        assert scene.reconciler.outcome.drift == 1
        scene.receive(2, "172.28.128.200", "172.28.128.201", drift="report")
        scene.holdings.release("c", 2)
        scene.reconciler.ask(Look("push", "c"))
        applied = await scene.until("state.applied", 2)
    assert [step.identity for step in applied.steps] == [two.identity]
    assert [kind for kind, _ in scene.said] == [
        "state.applied", "drift.found", "drift.found", "drift.gone", "state.applied",
    ]  # fmt: skip


async def test_a_push_of_one_cluster_does_not_heal_what_another_wants_reported(scene: Scene) -> None:
    """It is in force all the same: what is reported is the other's."""
    scene.receive(1, "172.28.128.200", drift="report", cluster="a")
    scene.holdings.release("a", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "a"))
        await scene.until("state.applied")
        scene.host.has["address"].clear()
        scene.receive(1, "172.28.128.201", cluster="b")
        scene.holdings.release("b", 1)
        scene.reconciler.ask(Look("push", "b"))
        await scene.until("state.applied", 2)
    assert list(scene.host.has["address"]) == ["lo 172.28.128.201/32"]
    assert scene.holdings.holding("b").applied == 1
    assert scene.reconciler.outcome.drift == 1


async def test_a_release_that_was_interrupted_is_put_in_force_whatever_the_policy(scene: Scene) -> None:
    """The minion was restarted in the middle of a push: that is no drift."""
    scene.receive(1, "172.28.128.200", drift="report")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("start"))
        await scene.until("state.applied")
    assert list(scene.host.has["address"]) == ["lo 172.28.128.200/32"]


async def test_what_shall_be_otherwise_because_the_host_is_is_no_drift(scene: Scene) -> None:
    """Its interface has another name, it became MASTER: done whatever the policy, and never contested."""
    scene.receive(1, "172.28.128.200", drift="report")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        for number in range(6):
            scene.host.interface = f"eth{number % 2 + 1}"
            scene.reconciler.ask(Look("timer"))
            await scene.idle()
            there = {key.split("/")[3] for key, it in scene.host.has["sysctl"].items() if it.value != "0"}
            assert there == {"all", scene.host.interface}
    assert scene.reconciler.outcome.drift == 0
    assert "drift.contested" not in dict(scene.said)


async def test_what_was_to_be_otherwise_and_failed_is_tried_again(scene: Scene) -> None:
    """Although by then it differs like anything else that the cluster only wants reported."""
    scene.receive(1, "172.28.128.200", drift="report")
    scene.holdings.release("c", 1)
    with scene.running():
        scene.reconciler.ask(Look("push", "c"))
        await scene.until("state.applied")
        scene.host.interface = "eth1"
        scene.host.refuses = [ChangeError("sysctl", "net/ipv4/conf/eth1/arp_ignore", "no")]
        for _ in range(2):
            scene.reconciler.ask(Look("timer"))
            await scene.idle()
        assert scene.reconciler.outcome.drift == 4
        scene.host.refuses = []
        scene.reconciler.ask(Look("timer"))
        await scene.idle()
    assert scene.reconciler.outcome.drift == 0
