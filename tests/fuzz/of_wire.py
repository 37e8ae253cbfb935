"""Targets: what comes over the network, from a stranger, from our own master, and from a minion."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbwire import events, join, messages
from lbwire.codec import pack, unpack
from lbwire.envelope import DOMAIN, TYPES, VERSION, Envelope, key_id, seal
from lbwire.errors import Refused
from lbwire.event_types import decode_data, encode_data
from lbwire.inbox import CLUSTERLESS, Accepted, Held, Inbox, Memory
from lbwire.topics import CLUSTER, EVERYONE, ROLE_AUDIENCES, host_audience

HOST: Final = "netology1"
KEY: Final = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
INBOX: Final = Inbox(HOST, {key_id(KEY.public_key()): KEY.public_key()})
MEMORY: Final = Memory({"web": {audience: Held(5, b"\0" * 32) for audience in sorted(ROLE_AUDIENCES)}}, {"web": 5})

_TYPES: Final = sorted(TYPES)
_AUDIENCES: Final = (*sorted(ROLE_AUDIENCES), CLUSTER, EVERYONE, host_audience(HOST))
_SAID: Final[tuple[tuple[str, str, str, messages.FromMaster], ...]] = (
    ("state", "role:realserver", "web", messages.State((HOST,), {"vips": ["172.28.128.200/24"]})),
    ("trial", "role:director", "web", messages.Trial((HOST,), {"instances": []})),
    ("release", CLUSTER, "web", messages.Release((HOST, "netology2"))),
    ("reconcile", CLUSTER, "web", messages.Reconcile("failover of web", ("www",))),
    ("examine", CLUSTER, "web", messages.Examine()),
    ("beacon", EVERYONE, "", messages.Beacon({"web": messages.Position(7, 9)})),
    ("ack", host_audience(HOST), "", messages.Ack(3, 14)),
    ("successor", EVERYONE, "", messages.Successor(1, b"s" * 32, b"t" * 40)),
)


@lru_cache(1)
def genuine() -> frozenset[bytes]:
    """One message of every type, as the master sends it."""
    return frozenset(
        seal(Envelope(kind, cluster, audience, 6, 6, messages.payload(message)), KEY)
        for kind, audience, cluster, message in _SAID
    )


def envelope(data: bytes) -> None:
    """What a stranger sends to a minion: refused, unless it is one of the master's own messages, bit for bit."""
    if _judge(data) is not None:
        assert data in genuine()


def signed(data: bytes) -> None:
    """What our own master's key has signed although no master would.

    The first byte says which part was made freely: what is signed, or the payload of a well-made envelope.
    """
    if not data:
        return
    if data[0] & 1:
        body = data[1:]
        accepted = _judge(pack([VERSION, key_id(KEY.public_key()), body, KEY.sign(DOMAIN + body)]))
    else:
        kind = _TYPES[(data[0] >> 1) % len(_TYPES)]
        audience = _AUDIENCES[(data[0] >> 4) % len(_AUDIENCES)]
        cluster = "" if kind in CLUSTERLESS else "web"
        accepted = _judge(seal(Envelope(kind, cluster, audience, 6, 6, data[1:]), KEY))
    if accepted is None:
        return
    assert messages.payload(accepted.message) == accepted.envelope.payload
    kept = accepted.memory
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Memory) == kept
    for cluster, number in MEMORY.commands.items():
        assert kept.commands[cluster] >= number
    for cluster, states in MEMORY.states.items():
        assert all(kept.states[cluster][audience].generation >= held.generation for audience, held in states.items())


def signed_seeds() -> Iterator[bytes]:
    for kind, audience, cluster, message in _SAID:
        body = messages.payload(message)
        yield bytes([_TYPES.index(kind) << 1 | _AUDIENCES.index(audience) << 4]) + body
        fields = Envelope(kind, cluster, audience, 6, 6, body)
        yield b"\x01" + pack(msgspec.to_builtins(fields, builtin_types=(bytes,)))


def codec(data: bytes) -> None:
    """What a minion, or somebody who wants to become one, sends: refused, or it can be said again, and be journalled."""
    try:
        value = unpack(data)
    except Refused as refusal:
        assert type(refusal) is not Refused
        return
    assert unpack(pack(value)) == value
    for decode in (join.decode_request, join.decode_answer):
        try:
            said = decode(data)
        except Refused:
            continue
        assert decode(join.encode(said)) == said
    try:
        message = messages.decode(data)
    except Refused:
        return
    assert messages.decode(messages.encode(message)) == message
    if isinstance(message, messages.Events):
        for event in message.events:
            _journal(event.type, event.data)


def _journal(kind: str, data: dict[str, Any]) -> None:
    try:
        msgspec.json.encode(decode_data(kind, data))
    except (KeyError, msgspec.ValidationError):
        return


def codec_seeds() -> Iterator[bytes]:
    step = messages.Step("service", "add", "tcp 172.28.128.200:80", after="rr")
    holdings = {"web": messages.Holding(3, 3, 7)}
    transition = events.VrrpTransition("web", "MASTER", "BACKUP", 200, ("172.28.128.200",))
    event = messages.Event(1, 2, "vrrp.transition", 1.5, "web", encode_data(transition))
    found = messages.Event(1, 3, "drift.found", 2.5, "web", encode_data(events.DriftFound("tick", (step,))))
    figures = messages.Figures("tcp 172.28.128.200:80", *range(10))
    said: tuple[messages.FromMinion, ...] = (
        messages.Hello("0.1", "2.2.7", 1, 2, holdings),
        messages.Events(0, 0, (event, found)),
        messages.Sample(1.0, holdings, {"web": messages.Role("MASTER", 200)}, 0, (figures,), number=3),
        messages.Planned("web", 4, (step,)),
        messages.Reconciled("web", 4, (step,), 0),
        messages.Rotate(b"t" * 40),
        messages.Examined("web", 4, (messages.Symptom("R2", "error", "lo", "a", "b", "c"),), {"mac eth1": "02::"}),
    )
    yield from map(messages.encode, said)
    yield join.encode(join.JoinRequest(HOST, "token", "0.1"))
    yield join.encode(join.JoinAnswer("accepted", "welcome", b"\1" * 32, 4505, 4506))
    yield pack({"a": [1, -1, 1.5, None, True, "text", b"bytes", 2**63, -(2**63)]})


def _judge(raw: bytes) -> Accepted | None:
    try:
        return INBOX.judge(raw, MEMORY)
    except Refused as refusal:
        assert type(refusal) is not Refused
        return None
