"""The way of the engine's probes: by the VIP where IPVS leads there, and by the own address to itself."""

from __future__ import annotations

import asyncio

import msgspec

from lbminion.health.outcome import Target
from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.desired import Host

from .scene import HOST, QUICK, VIP, Scene, Servers, name, state


async def test_what_ipvs_leads_is_asked_only_where_ipvs_leads_it(scene: Scene, servers: Servers) -> None:
    """Before its entry is in the table, somebody else would answer; and when it is taken away, likewise."""
    service = VirtualService("tcp", VIP, 80, "rr", (ServiceDestination("10.0.0.11", 80, 1, host="r1"),), check=QUICK)
    made = msgspec.structs.replace(state(service), hosts={HOST: Host("10.0.0.1")})
    scene.begin(made)
    await asyncio.sleep(0.5)
    assert servers.asked == []
    watched = scene.engine._watched[name(service, 1)]
    assert (watched.probe.target.address, watched.probe.target.source) == (VIP, "10.0.0.1")
    scene.has(watched.gate)
    await scene.until(lambda: not scene.weights)
    scene.has()
    count = len(servers.asked)
    await asyncio.sleep(0.6)
    assert len(servers.asked) == count


async def test_who_empties_the_table_kills_no_real_server(scene: Scene, servers: Servers) -> None:
    """Until the host has been looked at, probes go to whoever has the VIP: what they find there is not heard."""
    service = VirtualService(
        "tcp", VIP, 80, "rr", tuple(ServiceDestination(f"10.0.0.{it}", 80, 10) for it in (11, 12)),
        check=msgspec.structs.replace(QUICK, fall=1),
    )  # fmt: skip
    scene.begin(state(service))
    gates = [scene.engine._watched[name(service, number)].gate for number in (1, 2)]
    scene.has(*gates)
    await scene.until(lambda: not scene.weights)
    looks = scene.looks
    scene.in_use.clear()
    servers.die(Target(VIP, 80))
    await scene.until(lambda: scene.looks > looks)
    count = len(servers.asked)
    await asyncio.sleep(0.6)
    assert (scene.weights, scene.engine.health().failing) == ({}, {})
    assert len(servers.asked) <= count + 1
    scene.has(*gates)
    await scene.until(lambda: scene.weights == {name(service, 1): 0} or scene.weights == {name(service, 2): 0})


async def test_a_director_that_is_a_real_server_asks_itself(scene: Scene, servers: Servers) -> None:
    """At its own address: IPVS leads nobody to this host."""
    service = VirtualService("tcp", VIP, 80, "rr", (ServiceDestination("10.0.0.1", 80, 1, host=HOST),), check=QUICK)
    scene.begin(state(service))
    await scene.until(lambda: not scene.weights)
    assert {(target.address, target.mark) for target in servers.asked} == {("10.0.0.1", 0)}
