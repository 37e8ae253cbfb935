"""Replacing keepalived.conf: nothing of the user's is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbminion.keepalived import config_file
from lbminion.keepalived.config_file import Replaced
from lbminion.keepalived.errors import KeepalivedMissing
from lbminion.keepalived.paths import KeepalivedPaths

OURS = "# Written by lbmaster: do not edit\nglobal_defs {\n}\n"
THEIRS = "! my own file, for years\n"


@pytest.fixture
def paths(tmp_path: Path) -> KeepalivedPaths:
    (tmp_path / "run").mkdir()
    return KeepalivedPaths.under(tmp_path / "run", tmp_path / "etc" / "keepalived.conf")


def test_a_new_file_is_for_its_owner_only(paths: KeepalivedPaths) -> None:
    """It may hold a password; a missing folder is made."""
    assert config_file.read(paths) == ""
    assert config_file.replace(OURS, paths) == Replaced(changed=True)
    assert config_file.read(paths) == OURS
    assert paths.config.stat().st_mode & 0o777 == 0o600
    assert config_file.replace(OURS, paths) == Replaced(changed=False)


def test_a_file_of_somebody_else_is_kept_once_and_named(paths: KeepalivedPaths) -> None:
    """The second time it is the same content, and our own file is never kept."""
    config_file.replace(THEIRS, paths)
    first = config_file.replace(OURS, paths)
    assert first.backup == paths.config.with_name("keepalived.conf.before-lbmaster")
    assert first.backup.read_text() == THEIRS
    assert config_file.replace(OURS + "\n", paths).backup is None
    config_file.replace(THEIRS, paths)
    assert config_file.replace(OURS, paths).backup == first.backup


def test_an_older_backup_is_never_overwritten(paths: KeepalivedPaths) -> None:
    """Not even a dangling link is followed."""
    config_file.replace("first\n", paths)
    first = config_file.replace(OURS, paths).backup
    assert first is not None
    first.with_name(first.name + ".1").symlink_to("/nonexistent/target")
    config_file.replace("second\n", paths)
    second = config_file.replace(OURS, paths).backup
    assert second == first.with_name(first.name + ".2")
    assert (first.read_text(), second.read_text()) == ("first\n", "second\n")


def test_bytes_that_are_no_utf8_survive(paths: KeepalivedPaths) -> None:
    """Comments in an old encoding come back as they were."""
    paths.config.parent.mkdir()
    paths.config.write_bytes(b"! na\xefve\n")
    backup = config_file.replace(OURS, paths).backup
    assert backup is not None
    assert backup.read_bytes() == b"! na\xefve\n"


def test_an_empty_text_removes_the_file(paths: KeepalivedPaths) -> None:
    """There was none before us, so there is none after us."""
    config_file.replace(OURS, paths)
    config_file.replace("", paths)
    assert not paths.config.exists()


async def test_without_keepalived_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    """The operator of the host must act."""
    missing = KeepalivedPaths.under(tmp_path, tmp_path / "k.conf", binary="no-such-keepalived")
    with pytest.raises(KeepalivedMissing, match=r"no-such-keepalived.*apt-get install keepalived"):
        await config_file.check(OURS, missing)
