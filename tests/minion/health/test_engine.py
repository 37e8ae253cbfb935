"""The engine: first probe before first weight, out and in, what a pool allows, and what is told once."""

from __future__ import annotations

import asyncio

import pytest

from lbminion.netlink.ipvs_statistics import DestinationStatistics
from lbminion.netlink.ipvs_table import Statistics
from lbstates.balancing import Pool, ServiceDestination
from lbstates.checks import HttpsCheck, TcpCheck
from lbwire import health_events

from .scene import QUICK, R1, R2, R3, R4, VIP, Scene, Servers, name, proven, state, web


@pytest.mark.pitfall("H3")
async def test_nobody_gets_a_weight_before_the_first_probe(scene: Scene) -> None:
    """One that passes is enough; that it is well is no news."""
    service = web(R1, R2)
    scene.begin(state(service))
    assert scene.weights == {name(service, 1): 0, name(service, 2): 0}
    assert scene.engine.health().unproven == (name(service, 1), name(service, 2))
    await scene.until(lambda: not scene.weights)
    assert scene.said == []
    assert scene.engine.health().unproven == ()


async def test_one_that_dies_is_taken_out_and_comes_back(scene: Scene, servers: Servers) -> None:
    """With an event each, and a look at once."""
    service = web(R1, R2)
    await proven(scene, service)
    looks = scene.looks
    servers.die(R1)
    await scene.until(lambda: scene.weights == {name(service, 1): 0})
    assert scene.looks == looks + 1
    down = scene.said[0]
    assert isinstance(down, health_events.HealthChanged)
    assert (down.service, down.destination, down.real_server) == (f"tcp {VIP}:80", "10.0.2.1:8080", "r1")
    assert (down.state, down.reason) == ("down", "connection refused")
    assert 0 < down.failing_seconds < 5
    assert scene.engine.health().failing == {name(service, 1): "connection refused"}
    servers.live(R1)
    await scene.until(lambda: not scene.weights)
    assert scene.types() == ["health.changed", "health.changed"]
    assert scene.engine.health().failing == {}


async def test_a_service_without_a_check_is_left_alone(scene: Scene, servers: Servers) -> None:
    scene.begin(state(web(R1, check=None)))
    await asyncio.sleep(0.5)
    assert (scene.weights, servers.asked) == ({}, [])


async def test_a_new_one_that_does_not_answer_never_gets_a_weight(scene: Scene, servers: Servers) -> None:
    """The others do not wait for it."""
    service = web(R1, R2, R3)
    servers.die(R2)
    scene.begin(state(service))
    await scene.until(lambda: scene.weights == {name(service, 2): 0} and scene.said)
    assert scene.types() == ["health.changed"]


@pytest.mark.pitfall("H2")
async def test_no_more_than_its_share_of_a_pool_is_taken_out(scene: Scene, servers: Servers) -> None:
    """What fails beyond that stays in; it is said once, and once that it is over."""
    service = web(R1, R2, R3, R4)
    await proven(scene, service)
    servers.die(R1, R2, R3)
    await scene.until(lambda: len(scene.engine.health().failing) == 3)
    assert sorted(scene.weights.values()) == [0, 0]
    assert scene.engine.health().frozen == (service.identity,)
    frozen = [event for event in scene.said if isinstance(event, health_events.PoolFrozen)]
    assert [(set(it.failing), len(it.kept), it.most_out) for it in frozen] == [({"r1", "r2", "r3"}, 1, 50)]
    servers.live(R1, R2, R3)
    await scene.until(lambda: "pool.thawed" in scene.types())
    await scene.until(lambda: not scene.weights)
    assert scene.types().count("pool.frozen") == 1


async def test_a_sorry_server_answers_when_nobody_else_does(scene: Scene, servers: Servers) -> None:
    """And no longer, when somebody does."""
    sorry = ServiceDestination("10.0.2.99", 80, 1, "masquerade")
    service = web(R1, R2, pool=Pool(sorry=sorry))
    await proven(scene, service)
    servers.die(R1, R2)
    await scene.until(lambda: scene.weights.get(service.identity_of(sorry)) == 1)
    assert scene.weights == {name(service, 1): 0, name(service, 2): 0, service.identity_of(sorry): 1}
    assert scene.engine.health().sorry == (service.identity,)
    servers.live(R2)
    await scene.until(lambda: scene.weights == {name(service, 1): 0})
    assert [it for it in scene.types() if it.startswith("pool.")] == ["pool.sorry", "pool.recovered"]


@pytest.mark.pitfall("H6")
async def test_a_check_that_passes_nowhere_is_suspect(scene: Scene, servers: Servers) -> None:
    """Said once, with what it met."""
    servers.die(R1, R2)
    service = web(R1, R2)
    scene.in_use = {name(service, 1), name(service, 2)}
    scene.begin(state(service))
    await scene.until(lambda: "check.suspect" in scene.types())
    suspect = next(event for event in scene.said if isinstance(event, health_events.CheckSuspect))
    assert (suspect.service, suspect.kind, suspect.reason) == (service.identity, "tcp", "connection refused")
    scene.end()
    scene.begin(state(service))
    await asyncio.sleep(0.6)
    assert scene.types().count("check.suspect") == 1


async def test_those_that_cannot_be_asked_do_not_wait_for_ever(scene: Scene, servers: Servers) -> None:
    """A new service of which this host can ask nobody (its address is missing, say) would have no real server at all."""
    service = web(R1, R2)
    servers.unable = True
    scene.begin(state(service))
    await scene.until(lambda: "check.suspect" in scene.types())
    assert sorted(scene.weights.values()) == [0]
    assert "cannot be asked from here: no such address" in scene.engine.health().failing[name(service, 1)]
    servers.unable = False
    await scene.until(lambda: not scene.weights)


async def test_those_that_cannot_be_asked_any_more_keep_their_verdict(scene: Scene, servers: Servers) -> None:
    """It says nothing about them."""
    service = web(R1, R2)
    servers.die(R1)
    scene.begin(state(service))
    await scene.until(lambda: scene.weights == {name(service, 1): 0})
    servers.unable, count = True, len(servers.asked)
    await scene.until(lambda: len(servers.asked) > count + 4 * QUICK.fall)
    assert scene.weights == {name(service, 1): 0}


async def test_after_its_recovery_one_gets_its_weight_in_steps(scene: Scene, servers: Servers) -> None:
    """By itself, without anything else happening."""
    service = web(R1, R2, pool=Pool(slow_start=1))
    await proven(scene, service)
    servers.die(R1)
    await scene.until(lambda: scene.weights == {name(service, 1): 0})
    seen: list[int] = []
    scene.engine._look = lambda: (scene._look(), seen.append(scene.weights.get(name(service, 1), 10)))  # type: ignore[assignment]
    servers.live(R1)
    await scene.until(lambda: seen and not scene.weights)
    assert seen == sorted(seen)
    assert len(seen) > 4


async def test_a_certificate_is_spoken_of_once_a_day(scene: Scene, servers: Servers) -> None:
    """Also across restarts."""
    servers.days = 3.5
    service = web(R1, check=HttpsCheck(interval=0.25, timeout=0.25))
    await proven(scene, service)
    await scene.until(lambda: len(servers.asked) > 4)
    scene.end()
    scene.begin(state(service))
    await scene.until(lambda: len(servers.asked) > 8)
    assert [(it.TYPE, getattr(it, "days", None)) for it in scene.said] == [("check.certificate", 3.5)]


def counted(connections: int, packets: int, active: int = 0) -> DestinationStatistics:
    return DestinationStatistics(connections, packets, 0, packets * 60, 0, 0, 0, 0, 0, 0, active, connections)


async def test_connections_that_never_establish_have_their_real_server_probed_at_once(
    scene: Scene, servers: Servers
) -> None:
    """It is said once, and named in the sample until it is over."""
    slow = TcpCheck(interval=60.0, timeout=1.0)
    service = web(R1, R2, check=slow)
    await proven(scene, service)
    before = len(servers.asked)
    for second in range(4):
        figures = {
            name(service, 1): counted(10 * second, 12 * second),
            name(service, 2): counted(10 * second, 90 * second),
        }
        scene.engine.counted(Statistics({}, figures))
    await scene.until(lambda: len(servers.asked) > before)
    assert {target.address for target in servers.asked[before:]} == {R1.address}
    assert [(it.TYPE, getattr(it, "real_server", None)) for it in scene.said] == [("health.suspected", "r1")]
    assert scene.engine.health().suspected == (name(service, 1),)
