"""notes: whatever happens to however many things, the event about it fits into the master's journal."""

from __future__ import annotations

import msgspec

from lbmaster.intake import MOST_DATA
from lbminion import notes
from lbstates.kinds.destination import Destination
from lbstates.kinds.keepalived import Keepalived
from lbstates.plan import Change
from lbwire.event_types import encode_data
from lbwire.events import StateStaged


def added(number: int) -> list[Change]:
    of = "tcp 10.0.0.1:80"
    some = (Destination(of, f"10.1.{n >> 8}.{n & 255}", 80, "direct", 1) for n in range(number))
    return [Change("destination", "add", it.identity, after=it) for it in some]


def size(changes: list[Change]) -> int:
    return len(msgspec.json.encode(encode_data(StateStaged(1, notes.told(changes)))))


def test_a_small_plan_is_told_whole() -> None:
    """Each change under its own name."""
    changes = added(3)
    assert notes.told(changes) == notes.steps(changes)


def test_a_large_plan_is_told_in_part_and_counted_whole() -> None:
    """A push of 22,000 changes would otherwise be refused by the master's journal, and never converge."""
    changes = [*added(22_000), Change("service", "remove", "tcp 10.0.0.2:80")]
    told = notes.told(changes)
    assert sum(step.count for step in told) == len(changes)
    assert told[0] == notes.step(changes[0])
    assert [(step.kind, step.verb) for step in told[-2:]] == [("destination", "add"), ("service", "remove")]
    assert size(changes) < MOST_DATA


def test_a_long_detail_is_shortened() -> None:
    """The keepalived.conf of hundreds of instances, on a host that has none yet."""
    text = "# Written by lbmaster\n" + '    virtual_ipaddress "x"\n' * 40_000
    changes = [Change("keepalived", "add", "keepalived", after=Keepalived(text, running=True))]
    (step,) = notes.told(changes)
    assert step.detail.endswith("more lines)")
    assert size(changes) < MOST_DATA


def test_long_lists_of_names_and_errors_are_counted() -> None:
    """Somebody's own table of thousands of services, or a kernel that refuses every one."""
    assert notes.named(["a", "b"]) == ("a", "b")
    assert notes.named([str(n) for n in range(5000)])[-2:] == ("999", "(4000 more)")
    assert notes.errors(["x"]) == ("x",)
    found = notes.errors(["e" * 10_000] * 50)
    assert found[-1] == "and 30 more"
    assert len("".join(found)) < 20_000
