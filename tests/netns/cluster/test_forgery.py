"""Somebody who has the master's transport key but not its signing key, and somebody who replays: nothing changes.

Where the master's signing key is used, it is to let a master say what this one never does: in another order, or in the words of
another release.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec
import pytest
import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbmaster import identity
from lbmaster.client import BrokenOff, Unreachable
from lbmaster.signing import Signer
from lbservice.keys import load_or_make_curve
from lbstates import desired
from lbstates.desired import Answer, RealServerState
from lbwire.codec import LIMIT, pack, unpack
from lbwire.envelope import VERSION, Envelope, seal, unseal
from lbwire.envelope import key_id as identifier
from lbwire.messages import State, Successor, open_payload, payload
from lbwire.topics import BEACON, EVERYONE, role_audience, topic
from lbwire.topics import CLUSTER as EVERY_HOST

from .place import CLUSTER, VIP, Host, Place, inside, until

ROLE = topic(CLUSTER, role_audience("realserver"))
FORGED_VIP = "10.99.250.9"


class Impostor:
    """Publishes where the master was: `messages` again and again, since a subscriber may come at any time."""

    def __init__(self, place: Place) -> None:
        keys = load_or_make_curve(identity.curve_path(place.folder / "state"))
        self.messages: list[tuple[bytes, bytes]] = []
        self._once: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._ends = threading.Event()
        self._context, self._socket = inside(place.network.master, lambda: self._bound(keys.secret))
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    @staticmethod
    def _bound(secret: bytes) -> tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]]:
        context = zmq.Context()
        socket = context.socket(zmq.PUB)
        socket.linger = 0
        socket.curve_server, socket.curve_secretkey = 1, secret
        socket.bind("tcp://*:7411")
        return context, socket

    def _publish(self) -> None:
        while not self._ends.wait(0.1):
            for frames in self.messages:
                self._socket.send_multipart(frames)
            with suppress(queue.Empty):
                while True:
                    self._socket.send_multipart((ROLE, self._once.get_nowait()))

    def say(self, *messages: bytes) -> None:
        """Publish these once, one after the other, for a real server that has been heard to listen."""
        for message in messages:
            self._once.put(message)

    def end(self) -> None:
        self._ends.set()
        self._thread.join()
        self._context.destroy(0)


@contextmanager
def impostor(place: Place) -> Iterator[Impostor]:
    """Put an impostor in the master's place."""
    place.stop_master()
    impostor = Impostor(place)
    try:
        yield impostor
    finally:
        impostor.end()
        place.start_master()


def master_key(place: Place) -> Ed25519PrivateKey:
    """Read the key that the master signs with now."""
    return identity.load(place.folder / "state").signing


def state(host: Host) -> RealServerState:
    """Make a state that brings the host another VIP."""
    answers = (Answer(FORGED_VIP, "tcp", ("80",), "direct", {host.name: 80}),)
    return RealServerState(CLUSTER, {host.name: desired.Host(host.address)}, answers)


def forged(host: Host) -> bytes:
    """Sign a state with a key of the impostor's own, as the master would, with a high generation."""
    return Signer(Ed25519PrivateKey.generate()).state(CLUSTER, "realserver", 1000, state(host))


def of_version(host: Host, version: int) -> bytes:
    """Let the master say another VIP in an envelope of another version; the signature does not cover that number."""
    raw = Signer(master_key(host.place)).state(CLUSTER, "realserver", 1000, state(host))
    ours, *rest = unpack(raw)
    assert ours == VERSION
    return pack([version, *rest])


def of_format(key: Ed25519PrivateKey, raw: bytes, number: int) -> bytes:
    """Write a genuine state in another format, with the signature of its master."""
    envelope = unseal(raw, {identifier(key.public_key()): key.public_key()})
    message = open_payload(envelope)
    assert isinstance(message, State)
    other = msgspec.structs.replace(message, desired={**message.desired, "format": number})
    return seal(msgspec.structs.replace(envelope, payload=payload(other)), key)


def stored(place: Place, back: int) -> bytes:
    """Read a genuine state from the master's store, the newest or one further back."""
    with sqlite3.connect(place.folder / "state" / "store.sqlite") as database:
        rows = database.execute("SELECT raw FROM state WHERE role = 'realserver' ORDER BY generation DESC").fetchall()
    database.close()
    raw: bytes = rows[back][0]
    return raw


def flipped(raw: bytes) -> bytes:
    """Let a genuine state name another VIP."""
    assert VIP.encode() in raw
    return raw.replace(VIP.encode(), FORGED_VIP.encode())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("forged", "unknown_key"), ("flipped", "bad_signature"), ("replayed", "stale_generation"),
        ("rubbish", "malformed"), ("huge", "oversized"), ("older", "unknown_version"), ("newer", "unknown_version"),
    ],
)  # fmt: skip
def test_what_the_master_did_not_say_now_is_refused_and_reported(
    place: Place, server: Host, kind: str, reason: str
) -> None:
    """The kernel sees no change; the journal has the reason, and few lines however often it is repeated."""
    place.push_with(server)
    message = {
        "forged": lambda: forged(server),
        "flipped": lambda: flipped(stored(place, 0)),
        "replayed": lambda: stored(place, 1),
        "rubbish": lambda: b"\xff" * 500,
        "huge": lambda: b"\x00" * (LIMIT + 1000),
        "older": lambda: of_version(server, VERSION - 1),
        "newer": lambda: of_version(server, VERSION + 1),
    }[kind]()
    since = place.cursor()
    with server.watched() as changes, impostor(place) as there:
        there.messages = [(name, message) for name in (ROLE, topic(CLUSTER, EVERY_HOST), BEACON)]
        server.until(lambda: _refusals(server) >= 3, "some were refused")
    server.until(server.is_online, "it is back at its master")
    server.until(lambda: server.events("message.refused", since=since), "it has told of them")
    refused = server.events("message.refused", since=since)
    assert {event["data"]["reason"] for event in refused} == {reason}
    assert [event["data"]["count"] for event in refused] == [1, *(2**n for n in range(len(refused) - 1))]
    assert not changes
    assert not server.events("state.*", "drift.*", since=since)
    assert not server.lbminion("plan").returncode
    place.push_with(server)


def _told(host: Host, kind: bytes, *words: bytes) -> int:
    """Count events of a type, with these words, on the minion's disk: the master cannot be asked."""
    with sqlite3.connect(host.state / "minion.sqlite") as database:
        rows = database.execute("SELECT packed FROM event").fetchall()
    database.close()
    return sum(all(it in packed for it in (kind, *words)) for (packed,) in rows)


def _refusals(host: Host) -> int:
    return _told(host, b"message.refused")


def test_the_same_state_again_is_no_news(place: Place, server: Host) -> None:
    """Replaying what is in force does nothing: nothing is applied, and nothing refused."""
    since = place.cursor()
    with server.watched() as changes, impostor(place) as there:
        there.messages = [(ROLE, stored(place, 0))]
        until(lambda: _told(server, b"state.staged"), "it was planned once more", 30)
    server.until(server.is_online, "it is back at its master")
    assert not changes
    assert not server.events("message.refused", "state.applied", "drift.*", since=since)


def missed(place: Place, server: Host) -> int:
    """Push another VIP, which no other test has, while the real server does not run; gives the generation."""
    since = place.cursor()
    server.stop()
    server.until(
        lambda: any(it["data"]["host"] == server.name for it in place.events("minion.lost", since=since)),
        "its master has noticed",
    )
    text = place.cluster_file(server, vips={"www": VIP, "late": FORGED_VIP})
    options = {"below_floor": True, "allow_missing": [server.name]}
    answer = place.ask("push", text=text, file="web.yaml", by="test", timeout=60, options=options)
    assert answer["outcome"] == "converged", answer
    assert answer["missing"] == [server.name]
    generation: int = answer["generation"]
    return generation


def holding(host: Host) -> dict[str, int]:
    """Tell how far the minion is with the cluster, as it says itself; {} before it has said anything."""
    reported = host.reported()
    found: dict[str, int] = reported["sample"]["holdings"][CLUSTER] if reported else {}
    return found


def test_a_command_that_comes_after_a_later_one_changes_nothing(place: Place, server: Host) -> None:
    """Two releases in the wrong order: the one with the lower number is refused, though nobody has heard it before."""
    generation = missed(place, server)
    signer, raw = Signer(master_key(place)), stored(place, 0)

    def release(number: int, command: int) -> bytes:
        return signer.release(CLUSTER, number, command, (server.name,))

    with impostor(place) as there:
        server.start(online=False)
        there.messages = [(ROLE, raw)]
        server.until(lambda: holding(server).get("staged") == generation, "it has staged what it missed")
        there.messages = []
        applied, first = holding(server)["applied"], holding(server)["command"] + 1
        assert applied < generation
        with server.watched() as changes:
            there.say(release(applied, first + 1), release(generation, first))
            said = f"command {first}, the last one was {first + 1}".encode()
            server.until(lambda: _told(server, b"repeated_command", said), "the earlier one is refused")
            server.until(lambda: holding(server)["command"] == first + 1, "it tells of the later one")
        assert not changes
        assert holding(server)["applied"] == applied
        assert f"{FORGED_VIP}/32" not in server.on_lo()
        # In its order the same would have been obeyed.
        there.say(release(generation, first + 2))
        server.until(lambda: f"{FORGED_VIP}/32" in server.on_lo(), "it has the VIP")
    server.until(lambda: server.events("message.refused"), "it has told of it")
    (refused,) = server.events("message.refused")
    assert (refused["data"]["reason"], refused["data"]["count"]) == ("repeated_command", 1)
    place.push_with(server)
    assert f"{FORGED_VIP}/32" not in server.on_lo()


@pytest.mark.parametrize("number", [0, 3])
def test_a_state_of_an_unknown_format_is_refused_and_changes_nothing(place: Place, server: Host, number: int) -> None:
    """Also when it is released; its master's next push is obeyed."""
    generation, since = missed(place, server), place.cursor()
    key = master_key(place)
    raw = of_format(key, stored(place, 0), number)
    with impostor(place) as there:
        server.start(online=False)
        server.until(lambda: bool(holding(server)), "it runs")
        with server.watched() as changes:
            there.messages = [(ROLE, raw)]
            server.until(lambda: _told(server, b"state.refused", b"stage"), "it is refused")
            there.messages = []
            held = holding(server)
            there.say(Signer(key).release(CLUSTER, generation, held["command"] + 1, (server.name,)))
            server.until(lambda: _told(server, b"state.refused", b"apply"), "its release is refused, too")
        assert not changes
        assert server.on_lo() == {f"{VIP}/32"}
        assert holding(server)["applied"] < generation
    server.until(server.is_online, "it is back at its master")
    place.push_with(server)
    refused = server.events("state.refused", since=since)
    assert {event["data"]["phase"] for event in refused} == {"stage", "apply"}
    assert all("not understood" in event["data"]["reason"] for event in refused)
    assert not server.lbminion("plan").returncode


def rotated(place: Place, *hosts: Host) -> None:
    """Replace the master's keys; when this returns, these hosts trust the new ones alone."""
    since, before = place.cursor(), place.fingerprint
    announced = place.lbmaster("keys", "rotate-master")
    assert announced.returncode == 0, announced.stderr
    until(lambda: not place.ask("keys.rotation")["missing"], "all have learned", 30)
    done = place.lbmaster("keys", "rotate-master", "--finish")
    assert done.returncode == 0, done.stderr

    def another() -> str:
        try:
            found: str = place.ask("ping")["fingerprint"]
        except (Unreachable, BrokenOff):
            return ""
        return found if found != before else ""

    place.fingerprint = until(another, "the master has its new keys", 30)
    for host in hosts:
        host.until(host.is_online, "it is online", 60)
        host.until(
            lambda host=host: "adopted" in [it["data"]["state"] for it in host.events("master.successor", since=since)],  # type: ignore[misc]
            "it trusts the new keys alone",
        )


def test_what_the_masters_old_key_signed_is_refused_after_a_rotation(place: Place, server: Host) -> None:
    """Recorded before it, or forged by somebody who has that key: each is counted and reported, and changes nothing."""
    old, recorded = master_key(place), stored(place, 0)
    rotated(place, server, place.hosts["d1"])
    assert master_key(place).private_bytes_raw() != old.private_bytes_raw()
    assert stored(place, 0) != recorded
    stolen, again = Signer(old), Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    message = payload(Successor(1000, again, load_or_make_curve(server.folder / "stolen.key").public))
    forgeries = (
        stolen.state(CLUSTER, "realserver", 1000, state(server)),
        stolen.release(CLUSTER, 1000, 2**40, (server.name,)),
        seal(Envelope("successor", "", EVERYONE, 0, 0, message), old),
    )
    since = place.cursor()
    with server.watched() as changes, impostor(place) as there:
        before = _told(server, b"state.staged")
        there.messages = [(ROLE, stored(place, 0))]
        until(lambda: _told(server, b"state.staged") > before, "it listens, and hears what the new key signed", 30)
        there.messages = []
        there.say(recorded)
        server.until(lambda: _refusals(server) == 1, "what was recorded is refused")
        there.say(*forgeries)
        # The first, the second, and the fourth are told.
        server.until(lambda: _refusals(server) == 3, "what was forged is refused")
    server.until(lambda: len(server.events("message.refused", since=since)) >= 3, "it has told of them")
    refused = [event["data"] for event in server.events("message.refused", since=since)]
    assert [(it["reason"], it["count"]) for it in refused] == [
        ("unknown_key", 1),
        ("unknown_key", 1),
        ("unknown_key", 2),
    ]
    assert not changes
    assert not server.events("state.applied", "drift.*", "master.successor", since=since)
    assert not server.lbminion("plan").returncode
    place.push_with(server)
