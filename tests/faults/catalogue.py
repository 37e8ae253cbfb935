"""All faults, in the order in which they are run and documented; which of them every test run has."""

from __future__ import annotations

import os
from typing import Final

from tests.faults import clones, disks, machines, network, plans, processes
from tests.faults.fault import Fault

FAMILIES: Final = {
    "Processes": processes.FAULTS,
    "Network": network.FAULTS,
    "Disks": disks.FAULTS,
    "Machines": (*machines.FAULTS, *clones.FAULTS),
    "Planned": plans.FAULTS,
}
FAULTS: Final[tuple[Fault, ...]] = tuple(fault for family in FAMILIES.values() for fault in family)
SOAK: Final = os.environ.get("LB_TEST_SOAK") == "1"
"""Set by `tests/run --soak`."""


def chosen() -> list[Fault]:
    """The faults of this run."""
    return [fault for fault in FAULTS if SOAK or fault.short]
