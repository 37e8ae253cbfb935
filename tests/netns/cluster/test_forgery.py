"""Somebody who has the master's transport key but not its signing key, and somebody who replays: nothing changes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbmaster import identity
from lbmaster.signing import Signer
from lbservice.keys import load_or_make_curve
from lbstates import desired
from lbstates.desired import Answer, RealServerState
from lbwire.codec import LIMIT
from lbwire.topics import BEACON, role_audience, topic
from lbwire.topics import CLUSTER as EVERY_HOST

from .place import CLUSTER, VIP, Host, Place, inside, until

ROLE = topic(CLUSTER, role_audience("realserver"))


class Impostor:
    """Publishes what it is given, again and again, where the master was: a subscriber may come at any time."""

    def __init__(self, place: Place) -> None:
        keys = load_or_make_curve(identity.curve_path(place.folder / "state"))
        self.messages: list[tuple[bytes, bytes]] = []
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


def forged(host: Host) -> bytes:
    """Sign a state with a key of the impostor's own, as the master would: another VIP, and a high generation."""
    answers = (Answer("10.99.250.9", "tcp", ("80",), "direct", {host.name: 80}),)
    state = RealServerState(CLUSTER, {host.name: desired.Host(host.address)}, answers)
    return Signer(Ed25519PrivateKey.generate()).state(CLUSTER, "realserver", 1000, state)


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
    return raw.replace(VIP.encode(), b"10.99.250.9")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("forged", "unknown_key"), ("flipped", "bad_signature"), ("replayed", "stale_generation"),
        ("rubbish", "malformed"), ("huge", "oversized"),
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
    }[kind]()
    since = place.cursor()
    with server.watched() as changes, impostor(place) as there:
        there.messages = [(name, message) for name in (ROLE, topic(CLUSTER, EVERY_HOST), BEACON)]
        server.until(lambda: _refusals(server) >= 3, "some were refused")
    server.until(server.is_online, "it is back at its master")
    refused = server.events("message.refused", since=since)
    assert {event["data"]["reason"] for event in refused} == {reason}
    assert [event["data"]["count"] for event in refused] == [1, *(2**n for n in range(len(refused) - 1))]
    assert not changes
    assert not server.events("state.*", "drift.*", since=since)
    assert not server.lbminion("plan").returncode
    place.push_with(server)


def _refusals(host: Host) -> int:
    """Count the refusals on the minion's disk: the master cannot be asked."""
    with sqlite3.connect(host.state / "minion.sqlite") as database:
        rows = database.execute("SELECT packed FROM event").fetchall()
    database.close()
    return sum(b"message.refused" in packed for (packed,) in rows)


def test_the_same_state_again_is_no_news(place: Place, server: Host) -> None:
    """Replaying what is in force does nothing: nothing is applied, and nothing refused."""
    since = place.cursor()
    with server.watched() as changes, impostor(place) as there:
        there.messages = [(ROLE, stored(place, 0))]
        until(lambda: _staged(server), "it was planned once more", 30)
    server.until(server.is_online, "it is back at its master")
    assert not changes
    assert not server.events("message.refused", "state.applied", "drift.*", since=since)


def _staged(host: Host) -> bool:
    with sqlite3.connect(host.state / "minion.sqlite") as database:
        rows = database.execute("SELECT packed FROM event").fetchall()
    database.close()
    return any(b"state.staged" in packed for (packed,) in rows)
