"""What the engine remembers: across restarts, reboots and pushes, and when its disk or the kernel's table fails it."""

from __future__ import annotations

import asyncio

import pytest

from lbminion.errors import NoIpvs
from lbstates.checks import TcpCheck

from .scene import FACTS, R1, R2, R3, R4, Scene, Servers, name, proven, state, web


@pytest.mark.pitfall("H3")
async def test_verdicts_survive_a_restart_of_the_minion(scene: Scene, servers: Servers) -> None:
    """Nobody is taken out because the minion was started; who is out stays out. Nothing is told again."""
    service = web(R1, R2, R3, R4)
    await proven(scene, service)
    servers.die(R1, R2, R3)
    await scene.until(lambda: len(scene.engine.health().failing) == 3)
    weights, said = dict(scene.weights), len(scene.said)
    scene.end()
    scene.begin(state(service))
    assert scene.weights == weights
    await asyncio.sleep(0.6)
    assert len(scene.said) == said


async def test_a_killed_minion_remembers_what_is_a_second_old(scene: Scene) -> None:
    service = web(R1, R2)
    await proven(scene, service)
    scene.engine.flush()
    scene.kill()
    scene.begin(state(service))
    assert scene.weights == {}


async def test_after_a_reboot_everybody_has_to_prove_himself(scene: Scene) -> None:
    """The kernel's table is empty then, and hours may have passed."""
    service = web(R1, R2)
    await proven(scene, service)
    scene.end()
    scene.boot = "another boot"
    scene.begin(state(service))
    assert set(scene.weights.values()) == {0}


@pytest.mark.pitfall("H3")
async def test_what_takes_connections_already_counts_as_up(scene: Scene, servers: Servers) -> None:
    """Made by hand, or by a release that did not watch: it goes on until it fails."""
    service = web(R1, R2, R3)
    servers.die(R1)
    scene.in_use = {name(service, 1), name(service, 2)}
    scene.begin(state(service))
    assert scene.weights == {name(service, 3): 0}
    await scene.until(lambda: scene.weights == {name(service, 1): 0})


async def test_a_push_keeps_the_verdicts_of_those_that_stay(scene: Scene, servers: Servers) -> None:
    """A new one has to prove itself; another check keeps the verdict; who is gone is forgotten."""
    await proven(scene, web(R1, R2))
    more = web(R1, R2, R3, check=TcpCheck(interval=0.5, timeout=0.25))
    scene.follow(state(more))
    assert scene.weights == {name(more, 3): 0}
    await scene.until(lambda: not scene.weights)
    scene.follow(state(web(R1)))
    scene.follow(state(web(R1, R2)))
    assert scene.weights == {name(more, 2): 0}


async def test_what_is_only_planned_is_weighed_and_not_watched(scene: Scene, servers: Servers) -> None:
    """A staged state shows its new real servers with weight 0."""
    await proven(scene, web(R1))
    more = web(R1, R2)
    assert scene.engine.weights((state(more),), FACTS) == {name(more, 2): 0}
    servers.asked.clear()
    await asyncio.sleep(0.6)
    assert {target.address for target in servers.asked} == {R1.address}


async def test_a_damaged_row_is_dropped_and_said(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """The others are kept."""
    service = web(R1, R2, R3)
    await proven(scene, service)
    scene.engine.flush()
    assert scene._connection is not None
    keys = [f"health destination {name(service, number)}" for number in (1, 2)]
    scene._connection.execute("UPDATE kept SET value = x'00' WHERE key = ?", (keys[0],))
    scene._connection.execute("UPDATE kept SET value = x'92637f' WHERE key = ?", (keys[1],))
    scene.end()
    scene.begin(state(service))
    assert scene.weights == {name(service, 1): 0, name(service, 2): 0}
    assert caplog.text.count("is dropped") == 2


async def test_a_full_disk_is_said_and_tried_again(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Watching goes on."""
    service = web(R1)
    await proven(scene, service)
    assert scene._connection is not None
    scene._connection.execute("PRAGMA query_only = ON")
    scene.engine.flush()
    assert "cannot be kept" in caplog.text
    scene._connection.execute("PRAGMA query_only = OFF")
    scene.engine.flush()
    scene.kill()
    scene.begin(state(service))
    assert scene.weights == {}


async def test_a_table_that_cannot_be_read_changes_nothing(scene: Scene, servers: Servers) -> None:
    """What is watched stays watched; the next look takes the new state up."""
    await proven(scene, web(R1))
    more = state(web(R1, R2))

    def broken() -> set[str]:
        raise NoIpvs

    scene.verdicts._in_use = broken
    with pytest.raises(NoIpvs):
        scene.follow(more)
    servers.die(R1)
    await scene.until(lambda: "health.changed" in scene.types())
    scene.verdicts._in_use = set
    scene.follow(more)
    assert scene.weights == {name(web(R1, R2), 2): 0}, "the only one that ever answered stays in"
