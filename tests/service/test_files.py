"""Files that are whole or not there."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lbservice.files import private_directory, sync_directory, write_atomically

CRASH = """
import os, pathlib, signal, sys
from lbservice import files
def die(*_arguments, **_more):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "before the rename":
    pathlib.Path.replace = die
elif sys.argv[2] == "before the flush":
    os.fsync = die
else:
    files.sync_directory = die
files.write_atomically(pathlib.Path(sys.argv[1]), b"new" * 100_000)
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("durable", [True, False])
def test_content_and_mode_are_set_at_once(tmp_path: Path, *, durable: bool) -> None:
    """A new file has the content and exactly the mode asked for, whatever the umask."""
    previous = os.umask(0o077)
    try:
        write_atomically(tmp_path / "file", b"content", mode=0o644, durable=durable)
    finally:
        os.umask(previous)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert mode_of(tmp_path / "file") == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nobody_else_reads_by_default(tmp_path: Path) -> None:
    """Secrets need no second thought."""
    write_atomically(tmp_path / "secret", b"x")
    assert mode_of(tmp_path / "secret") == 0o600


def test_a_reader_of_the_old_file_goes_on_reading_it(tmp_path: Path) -> None:
    """The file is replaced, not written over."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("moment", ["before the flush", "before the rename", "before the directory is flushed"])
def test_a_crash_leaves_the_old_or_the_new(tmp_path: Path, moment: str) -> None:
    """Killed with SIGKILL in the middle, at three places."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", CRASH, path, moment], check=False, timeout=30, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == (b"new" * 100_000 if moment == "before the directory is flushed" else b"old")


def test_a_failure_leaves_no_rubbish(tmp_path: Path) -> None:
    """The temporary file goes, the error stays."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file"):
        write_atomically(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    """No directory is made in passing."""
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "file", b"content")


def test_a_private_directory_is_private_and_left_as_it_is(tmp_path: Path) -> None:
    """Made 0700 with its parents; one that exists keeps what its owner set."""
    made = private_directory(tmp_path / "a" / "b")
    assert mode_of(made) == 0o700
    made.chmod(0o750)
    assert mode_of(private_directory(made)) == 0o750


def test_a_file_in_the_way_of_a_directory_is_an_error(tmp_path: Path) -> None:
    """It is not replaced."""
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        private_directory(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "a")
