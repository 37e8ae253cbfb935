"""What a host hears by broadcast is what is for its clusters and roles, whatever it subscribes to."""

from __future__ import annotations

import asyncio

import pytest

from lbwire.topics import BEACON, CLUSTER, role_audience, topic
from tests.master.conftest import WEB, Site

from .peers import Ear, ear

OF_DIRECTORS = topic("web", role_audience("director"))
OF_REAL_SERVERS = topic("web", role_audience("realserver"))
OF_ALL = topic("web", CLUSTER)
FOREIGN = topic("mail", CLUSTER)


WITHOUT_R2 = WEB.replace("  r2: 10.0.0.12\n", "")


@pytest.mark.parametrize("wish", [b"", b"c", b"cluster/", b"cluster/web/", OF_DIRECTORS[:-1], OF_DIRECTORS, FOREIGN])
async def test_a_captured_real_server_does_not_hear_what_is_for_directors(site: Site, wish: bytes) -> None:
    """Neither by the topic's name nor by a prefix of it: subscriptions are granted by key. The attempt is journalled."""
    await site.cluster()
    with ear(site.ports["broadcast"], site.server_key, site.minions["r1"].keys) as captured:
        captured.wants(wish, OF_REAL_SERVERS, BEACON)
        heard = await _pushed_until_heard(site, captured)
        heard += await captured.hears(BEACON)
    assert set(heard) == {OF_REAL_SERVERS, BEACON}
    refused = (await site.event("message.refused", seconds=20))["data"]
    assert refused["reason"] == "not_its_topic"
    assert "from r1" in refused["text"]


async def test_a_host_that_left_a_role_does_not_go_on_hearing_it(site: Site) -> None:
    """It has applied what takes the role from it, and keeps its subscription all the same: the connection is ended."""
    await site.cluster()
    with ear(site.ports["broadcast"], site.server_key, site.minions["r2"].keys) as captured:
        captured.wants(OF_REAL_SERVERS, OF_ALL, BEACON)
        await _pushed_until_heard(site, captured)
        before = site.minions["r2"].applied["web"]
        assert (await site.ask("push", text=WITHOUT_R2))["outcome"] == "converged"
        assert site.minions["r2"].applied["web"] == before + 1
        # Everybody has to connect anew, and this one is not granted what it had.
        await site.event("message.refused", seconds=20)
        captured.heard()
        assert (await site.ask("push", text=WITHOUT_R2))["outcome"] == "converged"
        heard = await captured.hears(BEACON)
    assert set(heard) == {BEACON}
    assert site.minions["r2"].applied["web"] == before + 1


async def test_a_host_that_returns_to_a_role_hears_it_again(site: Site) -> None:
    """Leaving is not for ever."""
    await site.cluster()
    for text, generation in ((WITHOUT_R2, 2), (WITHOUT_R2, 3), (WEB, 4), (WEB, 5)):
        assert (await site.ask("push", text=text))["outcome"] == "converged"
        assert (site.minions["r2"].applied["web"] == generation) == (generation != 3)


async def _pushed_until_heard(site: Site, listening: Ear) -> list[bytes]:
    """When a subscription is in force cannot be seen: push until a state is heard."""
    heard: list[bytes] = []
    while OF_REAL_SERVERS not in heard:
        assert (await site.ask("push", text=WEB))["outcome"] == "converged"
        await asyncio.sleep(0.1)
        heard += listening.heard()
    return heard
