"""Guests are bounded and ended, and a run of which nothing is known has not passed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.guests import ROOT, GuestRun, require_all_passed, run_guest
from tests.waiting import until

JUNIT = '<testsuites><testsuite errors="0" failures="0" skipped="{}" tests="{}"/></testsuites>'


def ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_guest_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    said = tmp_path / "child"
    run = run_guest(["sh", "-c", f"sleep 600 & echo $! >{said}; wait"], tmp_path, 2)
    assert run.exit_code is None
    assert "not finished in time" in run.console
    until(lambda: ended(int(said.read_text())))


def test_a_guest_does_not_outlive_whoever_runs_it(tmp_path: Path) -> None:
    said = tmp_path / "guest"
    guest = ["sh", "-c", f"echo $$ >{said}.new; mv {said}.new {said}; exec sleep 600"]
    program = (
        f"import pathlib; from tests.guests import run_guest; run_guest({guest}, pathlib.Path({str(tmp_path)!r}), 600)"
    )
    runner = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        until(said.exists)
    finally:
        runner.kill()
        runner.wait(10)
    until(lambda: ended(int(said.read_text())))


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
