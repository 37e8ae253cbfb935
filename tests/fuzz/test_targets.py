"""Every target, tried for a moment: real messages, changed a little or entirely; and what was once found."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .target import CASES, Target
from .targets import TARGETS

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@lru_cache
def seeds(name: str) -> tuple[bytes, ...]:
    return tuple(TARGETS[name].seeds())


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """A real message in which some bytes were replaced, taken out or put in, or that was cut off."""
    data = bytearray(draw(st.sampled_from(seeds(name))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_real_messages_are_read(target: Target) -> None:
    """They do not merely do no harm: that they are understood is what the tests of each reader show."""
    for seed in seeds(target.name):
        target.feed(seed)
    target.feed(b"")


@pytest.mark.parametrize("name", TARGETS)
@FEW
@given(data=st.data())
def test_changed_messages_are_read_or_refused(name: str, data: st.DataObject) -> None:
    TARGETS[name].feed(data.draw(changed(name) | st.binary(max_size=200)))


@pytest.mark.parametrize("case", [case for it in TARGETS.values() for case in it.cases()], ids=lambda case: case.name)
def test_what_was_a_crash_is_none_any_more(case: Path) -> None:
    TARGETS[case.parent.name].feed(case.read_bytes())


def test_every_case_belongs_to_a_target() -> None:
    assert {folder.name for folder in CASES.iterdir()} <= TARGETS.keys()
