"""Every fault under a steady load of requests: what may be lost and nothing more, and the cluster is whole afterwards.

And pushes in a row while faults happen at random: LB_TEST_SEED=NUMBER draws the same ones again, LB_TEST_PUSHES=NUMBER
is how many.
"""

from __future__ import annotations

import os
import random
from typing import Final

import pytest
from tests.faults import table
from tests.faults.catalogue import FAULTS, SOAK, chosen
from tests.faults.fault import Fault
from tests.faults.field import Field
from tests.faults.running import run
from tests.faults.soak import soak

PUSHES: Final = int(os.environ.get("LB_TEST_PUSHES", "200" if SOAK else "8"))
BROKEN_PUSHES: Final = PUSHES // 5 if SOAK else min(PUSHES, 3)
POOL: Final = [fault for fault in FAULTS if fault.random and (SOAK or fault.short)]


@pytest.mark.parametrize("fault", chosen(), ids=lambda fault: fault.name)
def test_a_fault_costs_what_it_may_and_is_over_by_itself(field: Field, fault: Fault) -> None:
    """It is told, no request is lost outside of its window, and every host is as pushed in the end."""
    table.rows.append(run(field, fault))


@pytest.mark.timeout(7200 if SOAK else 900)
def test_pushes_in_a_row_survive_faults_at_random(field: Field) -> None:
    """No request is lost outside of the faults' windows, no event and no generation; the last push is in force."""
    seed = int(os.environ.get("LB_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"LB_TEST_SEED={seed} draws these pushes and faults again")  # noqa: T201 - shown when it fails
    table.rows.append(soak(field, seed, PUSHES, BROKEN_PUSHES, POOL))


def test_no_event_was_lost_and_none_came_twice(field: Field) -> None:
    """After all of it: the journal is what a subscriber got, and what the minions do not keep any more is in it."""
    field.settle()
    assert field.lost_events() == []
