"""duties: what the minion does when the master says something that it cannot keep."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbminion.config import Config, Master
from lbminion.duties import Duties
from lbminion.holdings import Holdings
from lbminion.jobs import Look
from lbminion.store import open_store
from lbminion.trust import Trust
from lbservice.keys import fingerprint
from lbstates.desired import Host, RealServerState, encode_state
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import MARKER
from lbwire import events
from lbwire.envelope import Envelope, key_id, seal
from lbwire.inbox import Inbox
from lbwire.messages import Ack, Beacon, FromMaster, Position, Reconcile, Release, Role, State, Successor, payload
from lbwire.topics import CLUSTER, EVERYONE

HOST = "netology1"
KEY = Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
CONFIG = Config(
    HOST, Master("172.28.128.50", 7411, 7412, fingerprint(zmq.curve_keypair()[0]), KEY.public_key().public_bytes_raw().hex())
)  # fmt: skip


class Jobs:
    """Collects what the reconciler would be asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def ask(self, job: object) -> None:
        self.asked.append(job)


def message(message_type: str, message: FromMaster, audience: str, command: int, generation: int = 1) -> bytes:
    return seal(Envelope(message_type, "c", audience, generation, command, payload(message)), KEY)


NOTHING: Any = None


class Delivered:
    """Collects what the master has acknowledged."""

    def __init__(self) -> None:
        self.positions: list[tuple[int, int]] = []

    def acknowledged(self, position: tuple[int, int]) -> None:
        self.positions.append(position)


def test_keys_of_the_master_that_the_disk_does_not_take_end_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are learned, and later adopted, when a message brings them again; what needs no disk is done meanwhile."""
    connection = open_store(tmp_path)
    trust, delivered = Trust(connection, CONFIG), Delivered()
    reported: list[events.Data] = []
    duties = Duties(
        Inbox(HOST, trust.live), Holdings(connection, trust.stored), NOTHING, delivered, NOTHING, lambda data, _: reported.append(data), lambda: None, lambda *_: None, list, trust  # type: ignore[arg-type]
    )  # fmt: skip
    following, transport = Ed25519PrivateKey.generate(), zmq.curve_keypair()[0]
    successor = Successor(1, following.public_key().public_bytes_raw(), transport)
    announcement = seal(Envelope("successor", "", EVERYONE, 0, 0, payload(successor)), KEY)
    ack = seal(Envelope("ack", "", f"host:{HOST}", 0, 0, payload(Ack(1, 2))), following)
    full = "CREATE TRIGGER full BEFORE INSERT ON kept BEGIN SELECT RAISE(FAIL, 'disk is full'); END"

    connection.execute(full)
    duties.received(announcement)
    duties.received(announcement)
    assert caplog.text.count("disk is full") == 1
    assert (trust.number, reported) == (0, [])
    connection.execute("DROP TRIGGER full")
    duties.received(announcement)
    assert (trust.number, len(reported)) == (1, 1)

    connection.execute(full)
    duties.received(ack)
    assert caplog.text.count("disk is full") == 2
    assert delivered.positions == [(1, 2)]
    assert (len(trust.transports), len(reported)) == (2, 1)
    connection.execute("DROP TRIGGER full")
    duties.received(ack)
    assert trust.transports == (transport,)
    assert reported == [
        events.MasterSuccessor(fingerprint(transport), "learned"),
        events.MasterSuccessor(fingerprint(transport), "adopted"),
    ]


def test_a_release_that_the_disk_does_not_take_is_not_acted_upon(tmp_path: Path) -> None:
    """Nor does it end the reader of the link; the master's beacons bring it again."""
    connection = open_store(tmp_path)
    holdings, jobs = Holdings(connection, KEYS), Jobs()
    nothing: Any = None
    duties = Duties(
        Inbox(HOST, KEYS), holdings, jobs, nothing, nothing, lambda *_: None, lambda: None, lambda *_: None, list, Trust(connection, CONFIG)  # type: ignore[arg-type]
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


def test_a_generation_whose_states_never_came_is_not_put_in_force_as_an_older_one(tmp_path: Path) -> None:
    """A host that was away for one push, and came back in the middle of the next: that one was sent to it, and failed."""
    connection = open_store(tmp_path)
    holdings, jobs = Holdings(connection, KEYS), Jobs()
    reported: list[events.Data] = []
    duties = Duties(
        Inbox(HOST, KEYS), holdings, jobs, NOTHING, NOTHING, lambda data, _: reported.append(data), lambda: None, lambda *_: None, list, Trust(connection, CONFIG)  # type: ignore[arg-type]
    )  # fmt: skip
    state = encode_state(RealServerState("c", {HOST: Host("172.28.128.10")}, ()))

    def stage(generation: int) -> None:
        duties.received(message("state", State((HOST,), state), "role:realserver", 0, generation))

    def release(generation: int, command: int) -> None:
        duties.received(message("release", Release((HOST,)), f"host:{HOST}", command, generation))

    stage(4)
    release(4, 1)
    holdings.applied("c", 4)
    stage(6)
    jobs.asked.clear()
    release(5, 2)
    release(5, 3)
    assert (holdings.released("c"), jobs.asked) == (4, [])
    reason = "the states of generation 5 never came to this host, only newer ones did: push again"
    assert reported == [events.StateRefused(5, "apply", reason)]
    stage(7)
    release(7, 4)
    assert holdings.released("c") == 7


@pytest.mark.pitfall("V12")
def test_the_vips_of_instances_that_are_master_here_are_held(tmp_path: Path) -> None:
    """As the file has them now: those that a push brought since the last transition, too."""
    announced: list[Any] = []
    connection, jobs = open_store(tmp_path), Jobs()
    paths: Any = SimpleNamespace(config=tmp_path / "keepalived.conf")
    duties = Duties(
        Inbox(HOST, KEYS), Holdings(connection, KEYS), jobs, NOTHING, paths, lambda *_: None, lambda: None, lambda *_: None, announced.append, Trust(connection, CONFIG)  # type: ignore[arg-type]
    )  # fmt: skip
    state = RealServerState("c", {HOST: Host("172.28.128.10")}, ())
    duties.received(message("state", State((HOST,), encode_state(state)), "role:realserver", 0))
    paths.config.write_text(
        f"{MARKER}\nvrrp_instance www {{\n    virtual_ipaddress {{\n        10.0.0.100/24 dev eth1\n    }}\n"
        "    virtual_ipaddress_excluded {\n        10.0.0.101/24 dev eth1\n    }\n}\n"
        "vrrp_instance mail {\n    virtual_ipaddress {\n        10.0.0.200/24 dev eth1\n    }\n}\n"
    )
    duties.roles = {"www": Role("MASTER", 150, ("10.0.0.100/24",)), "mail": Role("BACKUP", 100, ("10.0.0.200/24",))}
    www = [Address("eth1", "10.0.0.100/24"), Address("eth1", "10.0.0.101/24")]
    assert duties.held(["www", "mail", "gone"]) == www
    duties.received(message("reconcile", Reconcile("yielded", ("www", "mail")), CLUSTER, 1, 0))
    assert jobs.asked[-1] == Look("master: yielded", "c", 1)
    duties.received(message("reconcile", Reconcile("operator"), CLUSTER, 2, 0))
    missed = seal(Envelope("beacon", "", EVERYONE, 0, 0, payload(Beacon({"c": Position(1, 4)}))), KEY)
    duties.received(missed)
    assert announced == [("www", "mail"), (), {"www"}]
