"""What the minion keeps of the master's words, and what it does when somebody changed them on the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbminion.errors import DamagedState
from lbminion.holdings import Holdings
from lbminion.store import open_store
from lbstates.desired import Answer, DirectorState, Host, RealServerState, RoleState, encode_state, role_of
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
    keep(holdings, generation, state(*vips))


def keep(holdings: Holdings, generation: int, state: RoleState) -> None:
    """Keep a state of any role as the inbox would."""
    message = payload(State(tuple(state.hosts), encode_state(state)))
    raw = seal(Envelope("state", "c", f"role:{role_of(state)}", generation, 0, message), KEY)
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


WITHOUT = RealServerState("c", {"r2": Host("10.0.0.2")}, ())
DIRECTS = DirectorState("c", {"r1": Host("10.0.0.1", interface="eth0")}, (), ())


def test_a_generation_of_which_no_state_came_was_skipped(holdings: Holdings) -> None:
    """What is there of it is the one before, or nothing; one that came was not skipped, also when newer ones wait."""
    receive(holdings, 6)
    assert holdings.skipped("c", 5, "r1")
    assert not holdings.skipped("c", 6, "r1")
    receive(holdings, 8)
    assert holdings.skipped("c", 7, "r1")
    assert [holdings.skipped("c", generation, "r1") for generation in (6, 8)] == [False, False]
    holdings.release("c", 8)
    holdings.applied("c", 8)
    receive(holdings, 9)
    assert not holdings.skipped("c", 8, "r1")


def test_one_role_of_two_is_enough_to_have_skipped_a_generation(holdings: Holdings) -> None:
    """Half of a generation would be in force."""
    receive(holdings, 1)
    keep(holdings, 1, DIRECTS)
    keep(holdings, 2, DIRECTS)
    receive(holdings, 3)
    keep(holdings, 3, DIRECTS)
    assert holdings.skipped("c", 2, "r1")


def test_a_role_that_was_not_there_is_not_missed(holdings: Holdings) -> None:
    """One that came later, and one that the host had left and got back later."""
    receive(holdings, 1)
    keep(holdings, 2, WITHOUT)
    keep(holdings, 3, DIRECTS)
    receive(holdings, 4)
    keep(holdings, 4, DIRECTS)
    assert not holdings.skipped("c", 3, "r1")
    assert not holdings.skipped("c", 2, "r1")


def test_a_state_that_is_changed_on_the_disk_counts_as_one_with_a_part_for_this_host(
    connection: sqlite3.Connection, holdings: Holdings
) -> None:
    """Nobody can tell, and a push mends both."""
    receive(holdings, 1)
    receive(holdings, 3)
    connection.execute("UPDATE state SET raw = ? WHERE generation = 1", (b"damaged",))
    assert holdings.skipped("c", 2, "r1")
