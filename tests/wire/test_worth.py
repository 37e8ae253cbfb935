"""What is given up first when not all events can be kept."""

from __future__ import annotations

import pytest

from lbwire.event_types import EVENT_TYPES
from lbwire.worth import PASSING, VITAL, Worth, worth_of


def test_no_type_is_both_and_all_are_known() -> None:
    """A type that was renamed would silently become ordinary."""
    assert not PASSING & VITAL
    assert EVENT_TYPES.keys() >= PASSING | VITAL


@pytest.mark.parametrize(
    "event_type", ["vrrp.transition", "failover", "keepalived.died", "health.changed", "events.lost"]
)
def test_what_decides_over_traffic_is_vital(event_type: str) -> None:
    """It is never given up while there is anything else."""
    assert worth_of(event_type) is Worth.VITAL


@pytest.mark.parametrize("event_type", ["drift.found", "drift.healed", "message.refused"])
def test_what_is_told_again_and_again_goes_first(event_type: str) -> None:
    """It is what fills a disk."""
    assert worth_of(event_type) is Worth.PASSING


@pytest.mark.parametrize("event_type", ["state.applied", "minion.started", "of.tomorrow", ""])
def test_everything_else_is_ordinary(event_type: str) -> None:
    """So are types of a newer release."""
    assert worth_of(event_type) is Worth.ORDINARY
