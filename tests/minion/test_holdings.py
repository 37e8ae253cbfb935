"""What the minion keeps of the master's words, and what it does when somebody changed them on the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbminion.errors import DamagedState
from lbminion.holdings import Holdings
from lbminion.store import open_store
from lbstates.desired import Answer, Host, RealServerState, encode_state
from lbwire.envelope import Envelope, key_id, seal
from lbwire.inbox import Inbox
from lbwire.messages import Release, State, payload

KEY = Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return open_store(tmp_path)


@pytest.fixture
def holdings(connection: sqlite3.Connection) -> Holdings:
    return Holdings(connection, KEYS)


def state(*vips: str) -> RealServerState:
    return RealServerState(
        "c", {"r1": Host("10.0.0.1")}, tuple(Answer(vip, "tcp", ("80",), "direct", {"r1": 80}) for vip in vips)
    )


def receive(holdings: Holdings, generation: int, *vips: str) -> None:
    """Keep a state as the inbox would."""
    message = payload(State(("r1",), encode_state(state(*vips))))
    raw = seal(Envelope("state", "c", "role:realserver", generation, 0, message), KEY)
    holdings.keep(Inbox("r1", KEYS).judge(raw, holdings.memory), raw)


def test_a_state_is_opened_once_while_it_is_the_same(holdings: Holdings) -> None:
    """Verifying and decoding thousands of services takes a tenth of a second; comparing bytes takes none."""
    receive(holdings, 1, "10.0.0.100")
    (first,) = holdings.states("c", 1)
    (again,) = holdings.states("c", 1)
    assert first is again
    receive(holdings, 2, "10.0.0.101")
    assert holdings.states("c", 2) == [state("10.0.0.101")]
    assert holdings.states("c", 1) == [state("10.0.0.100")]


def test_a_state_that_is_changed_on_the_disk_is_found_although_it_was_opened(
    connection: sqlite3.Connection, holdings: Holdings
) -> None:
    """At the next reading, and the one after; when it is as it was, it is obeyed again."""
    receive(holdings, 1, "10.0.0.100")
    holdings.states("c", 1)
    ((raw,),) = connection.execute("SELECT raw FROM state").fetchall()
    connection.execute("UPDATE state SET raw = ?", (raw.replace(b"10.0.0.100", b"10.0.0.199"),))
    for _ in range(2):
        with pytest.raises(DamagedState, match=r"the state of c \(role:realserver\)"):
            holdings.states("c", 1)
    connection.execute("UPDATE state SET raw = ?", (raw,))
    assert holdings.states("c", 1) == [state("10.0.0.100")]


def test_another_message_of_the_master_is_no_state(connection: sqlite3.Connection, holdings: Holdings) -> None:
    """However well it is signed."""
    receive(holdings, 1, "10.0.0.100")
    raw = seal(Envelope("release", "c", "cluster", 1, 1, payload(Release(("r1",)))), KEY)
    connection.execute("UPDATE state SET raw = ?", (raw,))
    with pytest.raises(DamagedState, match="another message"):
        holdings.states("c", 1)
