"""duties: what the minion does when the master says something that it cannot keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbminion.duties import Duties
from lbminion.holdings import Holdings
from lbminion.jobs import Look
from lbminion.store import open_store
from lbstates.desired import Host, RealServerState, encode_state
from lbwire.envelope import Envelope, key_id, seal
from lbwire.inbox import Inbox
from lbwire.messages import FromMaster, Release, State, payload

HOST = "netology1"
KEY = Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}


class Jobs:
    """Collects what the reconciler would be asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def ask(self, job: object) -> None:
        self.asked.append(job)


def message(message_type: str, message: FromMaster, audience: str, command: int) -> bytes:
    return seal(Envelope(message_type, "c", audience, 1, command, payload(message)), KEY)


def test_a_release_that_the_disk_does_not_take_is_not_acted_upon(tmp_path: Path) -> None:
    """Nor does it end the reader of the link; the master's beacons bring it again."""
    connection = open_store(tmp_path)
    holdings, jobs = Holdings(connection, KEYS), Jobs()
    nothing: Any = None
    duties = Duties(
        Inbox(HOST, KEYS), holdings, jobs, nothing, nothing, lambda *_: None, lambda: None, lambda *_: None  # type: ignore[arg-type]
    )  # fmt: skip
    state = RealServerState("c", {HOST: Host("172.28.128.10")}, ())
    duties.received(message("state", State((HOST,), encode_state(state)), "role:realserver", 0))
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON released BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
    duties.received(message("release", Release((HOST,)), "cluster", 1))
    assert holdings.released("c") == 0
    assert Look("push", "c") not in jobs.asked
    connection.execute("DROP TRIGGER full")
    duties.received(message("release", Release((HOST,)), "cluster", 2))
    assert holdings.released("c") == 1
    assert jobs.asked[-1] == Look("push", "c")
