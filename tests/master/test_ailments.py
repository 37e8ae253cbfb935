"""What checks have found, put together over the hosts of a cluster, and shown below them."""

from __future__ import annotations

import msgspec

from lbmaster.ailments import MOST, ailments
from lbmaster.cli.answers_status import Ailments
from lbmaster.cli.page import Line, Table
from lbmaster.cli.render_health import health_table
from lbmaster.view import Minion
from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.desired import DirectorState, Host
from lbwire.messages import Health, Sample

SERVERS = tuple(ServiceDestination(f"10.0.0.1{number}", 80, 1, host=f"r{number}") for number in (1, 2, 3))
WEB = VirtualService("tcp", "10.0.0.100", 80, "rr", SERVERS)
(R1, R2, R3), SERVICE = map(WEB.identity_of, SERVERS), WEB.identity
STATE = DirectorState("c", {"d1": Host("10.0.0.1"), "d2": Host("10.0.0.2")}, (), (WEB,))


def minion(*, online: bool = True, **found: object) -> Minion:
    health = msgspec.convert(found, Health)
    return Minion(online=online, seen=1.0, sample=Sample(0.0, {}, {}, 0, health=health))


def test_directors_that_find_the_same_are_named_together() -> None:
    """The gravest first; a real server's own finding beside them."""
    minions = {
        "d1": minion(failing={R1: "connection refused", R2: "connection refused"}, frozen=(SERVICE,)),
        "d2": minion(failing={R1: "no answer within 1 s"}),
        "r1": minion(silent=("tcp 10.0.0.100:80",)),
    }
    assert ailments(STATE, minions) == {
        "count": 4,
        "found": [
            {
                "kind": "frozen", "what": SERVICE, "hosts": ["d1"],
                "reason": "2 of 3 fail, 1 may be out (`most_out`), the others stay in: "
                "look at what they share, and at the check itself",
            },
            {"kind": "failing", "what": R1, "hosts": ["d1", "d2"], "reason": "r1: connection refused"},
            {"kind": "failing", "what": R2, "hosts": ["d1"], "reason": "r2: connection refused"},
            {"kind": "silent", "what": "tcp 10.0.0.100:80", "hosts": ["r1"], "reason": ""},
        ],
    }  # fmt: skip


def test_a_sorry_server_that_answers_is_explained() -> None:
    """Who reads it at night learns how many fail, and where to begin."""
    minions = {"d1": minion(failing=dict.fromkeys((R1, R2, R3), "no answer within 1 s"), sorry=(SERVICE,))}
    first = ailments(STATE, minions)["found"][0]
    assert first["reason"] == "3 of 3 fail: look at what they share, and at the check itself"


def test_what_is_of_another_cluster_is_left_out() -> None:
    """A director of two clusters tells of both; so is what a lost host said last."""
    minions = {
        "d1": minion(failing={"tcp 10.9.9.9:80 -> 10.0.0.11:80": "no"}),
        "d2": minion(online=False, frozen=(SERVICE,)),
    }
    assert ailments(STATE, minions) == {"count": 0, "found": []}
    assert ailments(None, minions | {"d3": Minion()}) == {"count": 0, "found": []}


def test_a_flood_is_bounded_and_counted() -> None:
    endpoints = tuple(f"tcp 10.0.0.100:{port}" for port in range(1, MOST + 100))
    found = ailments(STATE, {"r1": minion(silent=endpoints)})
    assert (found["count"], len(found["found"])) == (MOST + 99, MOST)
    lines = list(health_table(msgspec.convert(found, Ailments)))
    assert isinstance(lines[1], Table)
    assert len(lines[1].rows) == 20
    assert isinstance(lines[2], Line)
    assert lines[2].text == f"and {MOST + 79} more entries: lbmaster status --json shows them"


def test_the_table_says_what_is_found_by_whom_and_why() -> None:
    """And is not there where all is well; a kind of a newer master is shown as it is."""
    found = [
        {"kind": "failing", "what": R1, "hosts": ["d1", "d2"], "reason": "connection refused"},
        {"kind": "odd", "what": SERVICE},
    ]
    _, table = health_table(msgspec.convert({"count": 2, "found": found}, Ailments))
    assert isinstance(table, Table)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["FAILS", R1, "d1, d2", "connection refused"],
        ["odd", SERVICE, "", ""],
    ]
    assert not list(health_table(Ailments()))
