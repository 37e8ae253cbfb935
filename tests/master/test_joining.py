"""Who gets in: tokens, operators, and everybody who should not."""

from __future__ import annotations

import asyncio

import pytest
import zmq

from lbwire.events import MinionStarted
from lbwire.join import JoinRequest, encode

from .conftest import Refusal, Site, eventually
from .fake_minion import FakeMinion, ask_to_join, new_keys


async def test_a_token_lets_one_minion_in_once(site: Site) -> None:
    """Replayed by another key it is refused, and the first stays accepted."""
    token = (await site.ask("keys.token", ttl=60))["token"]
    first, second = FakeMinion("a"), FakeMinion("b")
    assert (await first.join(site.ports, site.server_key, token)).state == "accepted"
    answer = await second.join(site.ports, site.server_key, token)
    assert (answer.state, answer.signing_key) == ("rejected", b"")
    assert "used before" in answer.text
    assert (await first.join(site.ports, site.server_key, token)).state == "accepted"


@pytest.mark.parametrize(
    ("ttl", "bound", "wrong"), [(0.001, None, "expired"), (60, "other", "another host"), (None, None, "unknown")]
)
async def test_a_token_that_does_not_fit_is_refused(
    site: Site, ttl: float | None, bound: str | None, wrong: str
) -> None:
    """Expired, for somebody else, or invented; nobody is entered as pending by it."""
    token = "x" * 32 if ttl is None else (await site.ask("keys.token", ttl=ttl, name=bound))["token"]
    await asyncio.sleep(0.01)
    answer = await FakeMinion("a").join(site.ports, site.server_key, token)
    assert answer.state == "rejected"
    assert wrong in answer.text
    assert (await site.ask("keys.list"))["keys"] == []


async def test_without_a_token_a_minion_waits_for_the_operator(site: Site) -> None:
    """Pending until accepted; asking again says so, and reports nothing twice."""
    minion = FakeMinion("a")
    for _ in range(2):
        assert (await minion.join(site.ports, site.server_key)).state == "pending"
    assert len(await site.events("key.pending")) == 1
    await site.ask("keys.accept", name="a")
    assert (await minion.join(site.ports, site.server_key)).state == "accepted"
    assert (await site.events("key.accepted"))[0]["data"]["host"] == "a"


async def test_a_name_that_has_joined_cannot_be_taken_by_another_key(site: Site) -> None:
    """Nothing is overwritten, with a token or without."""
    await site.minion("a", connect=False)
    before = (await site.ask("keys.list"))["keys"]
    for token in ("", (await site.ask("keys.token", ttl=60))["token"]):
        answer = await FakeMinion("a").join(site.ports, site.server_key, token)
        assert answer.state == "rejected"
        assert "another key" in answer.text
    assert (await site.ask("keys.list"))["keys"] == before


@pytest.mark.parametrize("request_", [b"", b"\xff" * 100, encode(JoinRequest("../x")), b"\x00" * 4000])
async def test_rubbish_at_the_join_endpoint_is_answered_and_changes_nothing(site: Site, request_: bytes) -> None:
    """The endpoint is open to anybody."""
    assert (await ask_to_join(site.ports["join"], site.server_key, request_, new_keys())).state == "rejected"
    assert (await site.ask("keys.list"))["keys"] == []


async def test_a_key_that_is_not_accepted_does_not_get_past_the_handshake(site: Site) -> None:
    """Neither unknown nor pending keys reach the uplink."""
    stranger = FakeMinion("a")
    assert (await stranger.join(site.ports, site.server_key)).state == "pending"
    other = await site.minion("b")
    stranger.trust(b"\x01" * 32)
    stranger.connect(site.ports, site.server_key)
    stranger.report(MinionStarted("x"))
    other.report(MinionStarted("y"))
    await eventually(lambda: (1, 1) in other.acks)
    assert not stranger.seen
    assert [e["minion"] for e in await site.events("minion.started")] == ["b"]
    await stranger.close()


async def test_a_wrong_master_key_connects_to_nothing(site: Site) -> None:
    """Who pinned another key than this master's does not talk to it."""
    minion = await site.minion("a", connect=False)
    minion.connect(site.ports, zmq.curve_keypair()[0])
    await asyncio.sleep(0.5)
    assert not minion.seen
    assert not await site.events("minion.online")


async def test_a_routing_id_is_no_identity(site: Site) -> None:
    """What a minion sends under another's routing id stands under its own name."""
    victim = await site.minion("victim", connect=False)
    victim.connect(site.ports, site.server_key, routing_id=b"victim")
    await eventually(lambda: victim.acks)
    spoofer = await site.minion("spoofer", connect=False)
    spoofer.connect(site.ports, site.server_key, routing_id=b"victim-2")
    spoofer.report(MinionStarted("x"))
    await eventually(lambda: (1, 1) in spoofer.acks)
    assert [e["minion"] for e in await site.events("minion.started")] == ["spoofer"]
    victim.report(MinionStarted("y"))
    await eventually(lambda: (1, 1) in victim.acks)


async def test_a_revoked_minion_is_cut_off_from_both_directions(site: Site) -> None:
    """Its messages are dropped and it gets no further broadcast, although it was connected; the others go on."""
    await site.cluster()
    gone, stays = site.minions["r2"], site.minions["r1"]
    await site.ask("keys.revoke", name="r2")
    gone.report(MinionStarted("x"))
    stays.seen.clear()
    await eventually(lambda: any(type(m).__name__ == "Beacon" for m in stays.seen))
    gone.seen.clear()
    stays.seen.clear()
    await eventually(lambda: len(stays.seen) > 3)
    assert not gone.seen
    assert not await site.events("minion.started")


async def test_accepting_what_is_not_there_says_so(site: Site) -> None:
    """Unknown names and fingerprints are told apart from keys in another state."""
    await site.minion("a", connect=False)
    for arguments in ({"name": "x"}, {"name": "a"}, {"fingerprint": "zz"}, {}, {"name": "a", "fingerprint": "b"}):
        with pytest.raises(Refusal) as refusal:
            await site.ask("keys.accept", **arguments)
        assert refusal.value.kind in ("unknown_key", "bad_request")
