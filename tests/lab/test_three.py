"""Three directors that all work: each serves its own VIP and stands in for the others, on real kernels."""

from __future__ import annotations

import pytest

from microvm.lab import Lab, read_topology
from story.cast import FIVE, THREE
from story.hosts import Hosts
from story.steps import Step
from story.three import STORY

broken_off: list[str] = []


@pytest.mark.parametrize("step", STORY, ids=lambda step: step.__name__)
def test_three_directors(lab: Lab, step: Step) -> None:
    """Each step checks what came of it, and builds on the ones before; a master and hosts that are there are used."""
    if broken_off:
        pytest.fail(f"the story broke off at {broken_off[0]}")
    try:
        step(Hosts(lab, cast=THREE))
    except BaseException:
        broken_off.append(step.__name__)
        raise


def test_the_plain_demo_and_the_vagrantfile_have_five_machines() -> None:
    """The third director is in a topology of its own, in which the others are as they are among the five."""
    five, three = read_topology(FIVE.topology), read_topology(THREE.topology)
    assert len(five.hosts) == 5
    assert set(five.hosts) | {three.host("netology6")} == set(three.hosts)
