"""examine: what the probes found, as it is told."""

from __future__ import annotations

from lbminion.doctor.examine import MOST, _once
from lbminion.doctor.symptom import error, warning


def test_each_thing_is_told_once_and_the_worst_first() -> None:
    """A difference from the declared state and its effect are one thing."""
    small = warning("I9", "table", "long chains", "slow", "more bits")
    first, again = (error("I1", "service a", seen, "gone", "heal") for seen in ("missing", "not there"))
    assert _once([small, first, again]) == (first, small)


def test_thousands_of_findings_are_counted() -> None:
    """After `ipvsadm -C` on a large director: the answer has to fit into a message."""
    found = _once(error("I1", f"service {number}", "missing", "gone", "heal") for number in range(20_000))
    assert len(found) == MOST + 1
    assert found[-1].seen == f"{20_000 - MOST} more are not shown"
