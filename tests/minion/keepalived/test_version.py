"""Which keepalived is installed is asked once for each program that it was."""

from __future__ import annotations

from pathlib import Path

from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.keepalived.version import version


def install(directory: Path, number: str) -> KeepalivedPaths:
    """Put a program there that says this version, and notes that it was started."""
    new = directory / "new"
    new.write_text(f'#!/bin/sh\necho started >>{directory}/starts\necho "Keepalived v{number} (01/01,2026)" >&2\n')
    new.chmod(0o755)
    new.rename(directory / "keepalived")
    return KeepalivedPaths(binary=str(directory / "keepalived"))


def starts(directory: Path) -> int:
    return len((directory / "starts").read_text().splitlines())


def test_the_program_is_started_once_however_often_it_is_asked(tmp_path: Path) -> None:
    """A look at the host must not cost a process."""
    paths = install(tmp_path, "2.2.7")
    assert {version(paths) for _ in range(10)} == {"2.2.7"}
    assert starts(tmp_path) == 1


def test_an_upgrade_is_noticed(tmp_path: Path) -> None:
    """Its file is another one."""
    assert version(install(tmp_path, "2.2.7")) == "2.2.7"
    assert version(install(tmp_path, "2.4.0")) == "2.4.0"


def test_a_keepalived_that_is_not_installed_has_no_version(tmp_path: Path) -> None:
    """Nor has one that was removed."""
    paths = install(tmp_path, "2.2.7")
    assert version(paths) == "2.2.7"
    (tmp_path / "keepalived").unlink()
    assert version(paths) is None


def test_a_program_that_says_something_else_has_none(tmp_path: Path) -> None:
    """It is no keepalived."""
    (tmp_path / "keepalived").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "keepalived").chmod(0o755)
    assert version(KeepalivedPaths(binary=str(tmp_path / "keepalived"))) is None
