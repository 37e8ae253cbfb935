"""The marks in the runtime directory: valid for one boot, and harmless when they are rubbish."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbminion.keepalived import marks
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.keepalived.process import Process, alive, named_by, started_at


@pytest.fixture
def paths(tmp_path: Path) -> KeepalivedPaths:
    return KeepalivedPaths.under(tmp_path, tmp_path / "keepalived.conf")


def test_a_hold_lasts_until_it_is_released(paths: KeepalivedPaths) -> None:
    """Releasing says whether there was one."""
    assert not marks.held(paths)
    marks.hold(paths)
    assert marks.held(paths)
    assert marks.release(paths)
    assert not marks.release(paths)


def test_marks_of_another_boot_are_void(paths: KeepalivedPaths) -> None:
    """Where the directory is not cleared at boot, the boot's id tells."""
    marks.hold(paths)
    marks.record_loaded(paths, Process(1, 2), "text")
    for name in ("keepalived.held", "keepalived.loaded"):
        file = paths.runtime / name
        file.write_text(file.read_text().replace(marks._boot(), "another-boot"))
    assert not marks.held(paths)
    assert marks.last_loaded(paths) is None


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"boot": 1}', b"\xff" * 100])
def test_a_broken_mark_is_no_mark(paths: KeepalivedPaths, rubbish: bytes) -> None:
    """At worst keepalived is reloaded once too often."""
    (paths.runtime / "keepalived.held").write_bytes(rubbish)
    (paths.runtime / "keepalived.loaded").write_bytes(rubbish)
    assert not marks.held(paths)
    assert marks.last_loaded(paths) is None


def test_a_record_holds_for_one_process_and_one_text(paths: KeepalivedPaths) -> None:
    """A file that was replaced but not reloaded is not what runs."""
    paths.config.write_text("new")
    ours = Process(os.getpid(), 1)
    marks.record_loaded(paths, ours, "old")
    assert marks.has_loaded(paths, ours, "old")
    assert not marks.has_loaded(paths, ours, "new")


def test_without_a_record_a_file_newer_than_the_process_is_not_loaded(paths: KeepalivedPaths) -> None:
    """This test's process started before it wrote the file."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    me = Process(os.getpid(), int(fields[19]))
    assert alive(me)
    paths.config.write_text("text")
    assert paths.config.stat().st_ctime > started_at(me)
    assert not marks.has_loaded(paths, me, "text")


def test_what_a_process_had_loaded_when_first_seen_outlasts_a_clock_set_back(
    paths: KeepalivedPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started it: the times are asked once, before somebody can set the clock."""
    ours = Process(os.getpid(), 1)
    paths.config.write_text("text")
    written = paths.config.stat().st_ctime
    monkeypatch.setattr(marks, "started_at", lambda _: written + 60)
    marks.settle(paths, ours, "text")
    monkeypatch.setattr(marks, "started_at", lambda _: written + 60 - 86400)
    assert marks.has_loaded(paths, ours, "text")
    assert not marks.has_loaded(paths, Process(os.getpid(), 2), "text")


def test_a_process_that_may_not_have_read_the_file_gets_no_record(paths: KeepalivedPaths) -> None:
    """Its reload is still to come."""
    paths.config.write_text("text")
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    marks.settle(paths, Process(os.getpid(), int(fields[19])), "text")
    assert marks.last_loaded(paths) is None


def test_a_record_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The times go on being asked."""
    config = tmp_path / "keepalived.conf"
    config.write_text("text")
    paths = KeepalivedPaths.under(tmp_path / "missing", config)
    monkeypatch.setattr(marks, "started_at", lambda _: config.stat().st_ctime + 60)
    marks.settle(paths, Process(os.getpid(), 1), "text")
    assert marks.has_loaded(paths, Process(os.getpid(), 1), "text")
    assert marks.last_loaded(paths) is None


@pytest.mark.parametrize("content", [b"", b"abc", b"-1", b"0", b"\xff", b"12 13"])
def test_a_pid_file_without_a_pid_names_nothing(tmp_path: Path, content: bytes) -> None:
    """Nor does a missing one."""
    file = tmp_path / "pid"
    assert named_by(file) is None
    file.write_bytes(content)
    assert named_by(file) is None
