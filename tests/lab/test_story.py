"""The story of the five VMs, asserted: join, push, balance, fail over, heal, push again, on real kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from microvm.lab import Lab
from story.five import STORY
from story.hosts import Hosts
from story.outcome import Outcome

broken_off: list[str] = []


@pytest.mark.parametrize("step", STORY, ids=lambda step: step.__name__)
@pytest.mark.pitfall("S1")
def test_story(lab: Lab, step: Callable[[Hosts], Outcome]) -> None:
    """Each step checks what came of it, and builds on the ones before."""
    if broken_off:
        pytest.fail(f"the story broke off at {broken_off[0]}")
    try:
        step(Hosts(lab))
    except BaseException:
        broken_off.append(step.__name__)
        raise
