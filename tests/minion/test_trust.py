"""trust: the keys of the master that take each other's place, and never an old one again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbminion.config import Config, Master
from lbminion.store import open_store
from lbminion.trust import Trust
from lbservice.keys import fingerprint
from lbwire.envelope import Envelope, key_id, seal
from lbwire.errors import StaleSuccessor, UnknownKey
from lbwire.inbox import Inbox, Memory
from lbwire.messages import Successor, payload
from lbwire.topics import EVERYONE

KEYS = [Ed25519PrivateKey.generate() for _ in range(4)]
TRANSPORTS = [zmq.curve_keypair()[0] for _ in range(4)]


def config(signing: Ed25519PrivateKey = KEYS[0]) -> Config:
    public = signing.public_key().public_bytes_raw().hex()
    return Config("r1", Master("192.0.2.1", 7411, 7412, fingerprint(TRANSPORTS[0]), public))


def successor(number: int) -> Successor:
    return Successor(number, KEYS[number].public_key().public_bytes_raw(), TRANSPORTS[number])


def identity(number: int) -> bytes:
    return key_id(KEYS[number].public_key())


@pytest.fixture
def store(tmp_path: Path) -> sqlite3.Connection:
    return open_store(tmp_path)


def announced(number: int, by: int) -> bytes:
    return seal(Envelope("successor", "", EVERYONE, 0, 0, payload(successor(number))), KEYS[by])


def test_the_next_key_takes_over_once_it_has_signed_something(store: sqlite3.Connection) -> None:
    """Until then both are trusted; after it only the next one is, also after a restart; what is on the disk stays readable."""
    trust = Trust(store, config())
    assert trust.learn(successor(1))
    assert not trust.learn(successor(1))
    assert (trust.number, trust.transports) == (1, (TRANSPORTS[0], TRANSPORTS[1]))
    assert trust.live.keys() == {identity(0), identity(1)}
    assert not trust.verified(identity(0))
    assert trust.verified(identity(1))
    again = Trust(store, config())
    for it in (trust, again):
        assert it.live.keys() == {identity(1)}
        assert it.stored.keys() == {identity(0), identity(1)}
        assert it.transports == (TRANSPORTS[1],)


def test_an_old_announcement_never_brings_an_old_key_back(store: sqlite3.Connection) -> None:
    """Not by its number, and not by its signature."""
    trust = Trust(store, config())
    inbox = Inbox("r1", trust.live)
    for number in (1, 2, 3):
        trust.learn(successor(number))
        assert trust.verified(identity(number))
    for number in (1, 2):
        with pytest.raises(StaleSuccessor):
            trust.learn(successor(number))
        with pytest.raises(UnknownKey):
            inbox.judge(announced(number, by=number - 1), Memory())
    with pytest.raises(StaleSuccessor):
        trust.learn(Successor(3, b"x" * 32, TRANSPORTS[0]))
    assert trust.live.keys() == {identity(3)}


def test_an_announcement_that_a_stranger_signed_is_refused(store: sqlite3.Connection) -> None:
    """Only a trusted key names the next one."""
    with pytest.raises(UnknownKey):
        Inbox("r1", Trust(store, config()).live).judge(announced(1, by=1), Memory())


def test_joining_another_master_forgets_the_chain(store: sqlite3.Connection) -> None:
    """What the old master announced says nothing of the new one."""
    trust = Trust(store, config())
    trust.learn(successor(1))
    other = Trust(store, config(KEYS[3]))
    assert other.live.keys() == {identity(3)}
    assert other.number == 0
