"""Guests are bounded and ended, and a run of which nothing is known has not passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests import GuestRun, require_all_passed, run_guest

JUNIT = '<testsuites><testsuite errors="0" failures="0" skipped="{}" tests="{}"/></testsuites>'


def test_a_guest_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    said = tmp_path / "child"
    run = run_guest(["sh", "-c", f"sleep 600 & echo $! >{said}; wait"], tmp_path, 0.5)
    assert run.exit_code is None
    assert "not finished in time" in run.console
    status = Path("/proc") / said.read_text().strip() / "stat"
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    "run",
    [
        GuestRun(None, "", "did not boot"),
        GuestRun(1, JUNIT.format(0, 5), "one failed"),
        GuestRun(0, "<testsuites/>", "no report"),
        GuestRun(0, JUNIT.format(1, 5), "one skipped"),
        GuestRun(0, JUNIT.format(0, 0), "nothing ran"),
    ],
)
def test_a_run_of_which_not_all_is_known_to_have_passed_fails_with_its_console(run: GuestRun) -> None:
    with pytest.raises(AssertionError, match=run.console):
        require_all_passed(run)


def test_a_run_in_which_all_passed_has_passed() -> None:
    require_all_passed(GuestRun(0, JUNIT.format(0, 5), ""))
