"""Strangers at every endpoint, and every kind of message sent by everybody who should not send it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbmaster.signing import Signer
from lbstates.desired import Answer, Host, RealServerState
from lbwire import join
from lbwire.codec import LIMIT, pack
from lbwire.event_types import EVENT_TYPES
from lbwire.events import MinionStarted
from lbwire.join import JoinRequest
from lbwire.messages import (
    Event,
    Events,
    Examined,
    FromMinion,
    Hello,
    Holding,
    Planned,
    Position,
    Reconciled,
    Role,
    Sample,
    encode,
)
from lbwire.topics import BEACON, CLUSTER, role_audience, topic
from tests.master.conftest import Site, eventually
from tests.master.fake_minion import FakeMinion, ask_to_join, new_keys

from .peers import connected, ear

SIGNER = Signer(Ed25519PrivateKey.generate())
STATE = RealServerState("web", {"r1": Host("10.0.0.11")}, (Answer("10.0.0.100", "tcp", ("80",), "direct", {"r1": 80}),))
OF_A_MASTER = {
    "state": SIGNER.state("web", "realserver", 1000, STATE),
    "trial": SIGNER.trial("web", "realserver", 1000, STATE),
    "release": SIGNER.release("web", 1, 1000, ("r1",)),
    "reconcile": SIGNER.reconcile("web", 1000, "evil"),
    "examine": SIGNER.examine("web", 1000),
    "beacon": SIGNER.beacon({"web": Position(1000, 1000)}),
    "ack": SIGNER.ack("r1", 1000, 1000),
}
NOTHING = Holding(0, 0, 0)
OF_A_MINION: dict[str, FromMinion] = {
    "hello": Hello("evil", "evil", 0, 0, {"web": Holding(9, 9, 9)}),
    "events": Events(0, 0, (Event(1, 1, "minion.started", 1.0, "", {"product": "evil"}),)),
    "sample": Sample(0.0, {"web": Holding(9, 9, 9)}, {"www": Role("MASTER", 255)}, 0),
    "planned": Planned("web", 1),
    "reconciled": Reconciled("web", 1, (), 0),
    "examined": Examined("web", 1),
}


@pytest.mark.parametrize("mechanism", ["null", "plain", "a wrong server's key", "an unknown key"])
@pytest.mark.parametrize("endpoint", ["broadcast", "uplink", "join"])
async def test_a_stranger_reaches_nothing_at_any_endpoint(site: Site, endpoint: str, mechanism: str) -> None:
    """But the join endpoint with a key of its own, where it may ask for a name and gets nothing else."""
    await site.cluster()
    before = await _told(site)

    def attack() -> bytes | None:
        keys = None if mechanism in ("null", "plain") else new_keys()
        server = new_keys().public if mechanism == "a wrong server's key" else site.server_key
        kind = zmq.SUB if endpoint == "broadcast" else zmq.DEALER
        with connected(kind, site.ports[endpoint], server, keys, plain=mechanism == "plain") as socket:
            if kind == zmq.SUB:
                socket.subscribe(b"")
            else:
                for raw in (*OF_A_MASTER.values(), *map(encode, OF_A_MINION.values())):
                    socket.send(raw)
            return socket.recv() if socket.poll(1500) else None

    heard = await asyncio.to_thread(attack)
    if (endpoint, mechanism) == ("join", "an unknown key"):
        assert heard is not None
        assert join.decode_answer(heard).state == "rejected"
    else:
        assert heard is None
    assert await _told(site) == before


async def _told(site: Site) -> tuple[object, ...]:
    """Say what the master believes, and what it has journalled of others than itself."""
    status = (await site.ask("status"))["clusters"]["web"]
    hosts = {name: (host["staged"], host["applied"], host["roles"]) for name, host in status["hosts"].items()}
    return hosts, [event for event in await site.events("minion.started") if event["data"]["product"] == "evil"]


@pytest.mark.parametrize("kind", OF_A_MASTER)
async def test_a_minion_that_sends_a_masters_message_is_refused(site: Site, kind: str) -> None:
    """On the uplink nothing is a master's: nobody gets it, and it is journalled."""
    await site.cluster()
    site.minions["r1"].send(OF_A_MASTER[kind])
    refused = (await site.event("message.refused", seconds=20))["data"]
    assert (refused["reason"], "from r1" in refused["text"]) == ("malformed", True)
    assert not any(minion.refusals for minion in site.minions.values())


@pytest.mark.parametrize("kind", OF_A_MINION)
async def test_what_a_minion_says_is_believed_of_itself_alone(site: Site, kind: str) -> None:
    """Each message of a minion, from one that has no part in the cluster: nothing is believed of any other host."""
    await site.cluster()
    before = await _told(site)
    stranger = await site.minion("stranger")
    stranger.send(OF_A_MINION[kind])
    stranger.report(MinionStarted("after it")) if kind != "events" else None
    await eventually(lambda: stranger.acks and stranger.acks[-1] >= (1, 1))
    told, evil = await _told(site)
    assert told == before[0]
    assert {event["minion"] for event in evil} <= {"stranger"}
    assert await site.events("vrrp.split_brain", "failover") == []


@pytest.mark.parametrize("event_type", sorted(n for n, it in EVENT_TYPES.items() if "*master*" in (it.__doc__ or "")))
async def test_a_minion_cannot_journal_what_only_the_master_concludes(site: Site, event_type: str) -> None:
    """It stands there as refused, under the minion's name."""
    minion = await site.minion("a")
    minion.send_events((Event(1, 1, event_type, 1.0, "web", {}),))
    await eventually(lambda: (1, 1) in minion.acks)
    journalled = [(e["type"], e["minion"]) for e in await site.events() if e["minion"]]
    assert journalled == [("message.refused", "a")]


async def test_a_subscriber_of_the_broadcast_cannot_write_to_it(site: Site) -> None:
    """What an accepted minion sends to the broadcast socket reaches nobody."""
    await site.cluster()
    keys = site.minions["r1"].keys
    beacon = OF_A_MASTER["beacon"]

    def attack() -> None:
        with connected(zmq.XSUB, site.ports["broadcast"], site.server_key, keys) as socket:
            for name in (BEACON, topic("web", CLUSTER), topic("web", role_audience("realserver"))):
                for frames in (
                    [name, beacon],
                    [b"\x01" + name, beacon],
                    [b"\x01" + name + b"x" * 900],
                    [b"\x07" * 500],
                ):
                    socket.send_multipart(frames)
            socket.poll(500)

    with ear(site.ports["broadcast"], site.server_key, site.minions["r2"].keys) as other:
        other.wants(BEACON)
        await other.hears(BEACON)
        await asyncio.to_thread(attack)
        await other.hears(BEACON)
    assert not any(minion.refusals for minion in site.minions.values())


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"\x00", b"\xff" * 500, b"\xdf\xff\xff\xff\xff", b"\x91" * 5000, pack({"type": "hello"}), b"x" * (LIMIT + 1), b"x" * (LIMIT + 9000)],
    ids=["empty", "nil", "ff", "a map of 4 billion", "nested", "half a hello", "too long", "far too long"],
)  # fmt: skip
async def test_rubbish_of_a_minion_is_refused_and_the_others_go_on(site: Site, rubbish: bytes) -> None:
    """Whatever one sends, the master hears the next message of the others."""
    await site.cluster()
    site.minions["r1"].send(rubbish)
    site.minions["r2"].report(MinionStarted("after"))
    await eventually(lambda: site.minions["r2"].acks and site.minions["r2"].acks[-1][1] >= 3)
    assert (await site.ask("push", text=_web()))["outcome"] == "converged"


def _web() -> str:
    from tests.master.conftest import WEB

    return WEB


HOSTILE_NAMES = (
    "../x", "..", ".", "/etc/passwd", "a/b", "a\x00b", "a\nb", "-x", "--name=x", "x" * 10_000, "x" * 64, "ａ", "é", "a b", "", "$(id)",
    "`id`", "a;b", "a'b", 'a"b', "%s", "A", "a..", "\x1b[2J", "\u202ea",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
async def test_a_hostile_name_does_not_join(site: Site, name: str) -> None:
    """Neither with a token nor without; nothing is entered, and nothing of it is in a path."""
    token = (await site.ask("keys.token", ttl=60))["token"]
    for used in ("", token):
        raw = pack({"name": name, "token": used, "product": ""})
        answer = (
            await ask_to_join(site.ports["join"], site.server_key, raw, new_keys()) if len(raw) <= join.LIMIT else None
        )
        assert answer is None or answer.state == "rejected"
    assert (await site.ask("keys.list"))["keys"] == []
    assert (await FakeMinion("a").join(site.ports, site.server_key, token)).state == "accepted"


@pytest.mark.parametrize("field", ["name", "fingerprint", "cluster", "by", "file", "host", "reason"])
async def test_hostile_words_at_the_control_socket_change_nothing(site: Site, field: str) -> None:
    """They are refused by name, or they stay words."""
    from tests.master.conftest import Refusal

    await site.minion("a")
    verbs: dict[str, Callable[[str], dict[str, object]]] = {
        "keys.accept": lambda text: {field: text},
        "keys.revoke": lambda text: {field: text},
        "keys.token": lambda text: {"ttl": 60, field: text},
        "status": lambda text: {field: text},
        "reconcile": lambda text: {"cluster": "web", field: text},
        "drain": lambda text: {field: text},
        "push": lambda text: {"text": "cluster: x", field: text},
        "history": lambda text: {field: text},
    }
    for verb, arguments in verbs.items():
        for text in HOSTILE_NAMES:
            if (verb, text) in {("status", ""), ("history", "")} or (verb == "keys.token" and field != "name"):
                continue
            with pytest.raises(Refusal) as refusal:
                await site.ask(verb, **arguments(text))
            assert refusal.value.kind != "internal", (verb, text)
    keys = (await site.ask("keys.list"))["keys"]
    assert [(key["name"], key["state"]) for key in keys] == [("a", "accepted")]


async def test_a_join_request_that_is_no_request_is_rejected(site: Site) -> None:
    """Its answer says so, and that is all."""
    for raw in (b"", b"\xff" * 100, join.encode(JoinRequest("a"))[:-1], b"\x00" * 4000):
        assert (await ask_to_join(site.ports["join"], site.server_key, raw, new_keys())).state == "rejected"
