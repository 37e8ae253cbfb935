"""Opening SQLite files: new, again, and every one that cannot be used."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lbservice.database import Unusable, open_database

SCHEMA = "CREATE TABLE note (text TEXT NOT NULL) STRICT;"

WRITER = """
import pathlib, sys
from lbservice.database import open_database
connection = open_database(pathlib.Path(sys.argv[1]), "CREATE TABLE note (text TEXT NOT NULL) STRICT;", 1)
for number in range(10_000_000):
    connection.execute("INSERT INTO note VALUES (?)", (str(number),))
    print(number, flush=True)
"""

AS_NOBODY = """
import os, pathlib, sys
from lbservice.database import Unusable, open_database
os.setgid(65534); os.setuid(65534)
try:
    open_database(pathlib.Path(sys.argv[1]), "", 1)
except Unusable as error:
    print(error)
"""


def run_python(code: str, *arguments: str | Path) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_a_new_database_is_private_and_has_our_schema(tmp_path: Path) -> None:
    """0600, WAL, and the schema's number in it."""
    path = tmp_path / "store.sqlite"
    with closing(open_database(path, SCHEMA, 3)) as connection:
        connection.execute("INSERT INTO note VALUES ('x')")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_an_existing_database_is_opened_as_it_is(tmp_path: Path) -> None:
    """The schema is made once."""
    with closing(open_database(tmp_path / "a", SCHEMA, 1)) as connection:
        connection.execute("INSERT INTO note VALUES ('kept')")
    with closing(open_database(tmp_path / "a", SCHEMA, 1)) as connection:
        assert connection.execute("SELECT text FROM note").fetchall() == [("kept",)]


def test_a_killed_process_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """What it said it had written is there after kill -9."""
    with run_python(WRITER, tmp_path / "a") as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(200)][-1]
        process.kill()
        said = max(
            [said, *(int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n"))]
        )
    assert process.returncode == -signal.SIGKILL
    with closing(open_database(tmp_path / "a", SCHEMA, 1)) as connection:
        texts = [int(text) for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]
    assert texts == list(range(len(texts)))
    assert texts[-1] >= said


def test_a_newer_schema_is_told(tmp_path: Path) -> None:
    """An older release does not touch what it cannot understand."""
    open_database(tmp_path / "a", SCHEMA, 2).close()
    with pytest.raises(Unusable, match=r"newer release \(schema 2, this one knows 1\): upgrade"):
        open_database(tmp_path / "a", SCHEMA, 1)


def test_a_file_that_is_no_database_is_told_and_kept(tmp_path: Path) -> None:
    """Somebody's file is not written over."""
    (tmp_path / "a").write_bytes(b"garbage " * 1000)
    with pytest.raises(Unusable, match="not a database"):
        open_database(tmp_path / "a", SCHEMA, 1)
    assert (tmp_path / "a").read_bytes() == b"garbage " * 1000


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    """The first page is intact, the schema behind it is not."""
    with closing(open_database(tmp_path / "a", SCHEMA, 1)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    raw = bytearray((tmp_path / "a").read_bytes())
    raw[100:4096] = b"\xff" * 3996
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(Unusable, match=r"malformed|not a database|disk image"):
        open_database(tmp_path / "a", SCHEMA, 1).close()


def test_a_schema_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """All of it or none: the next attempt starts from an empty file."""
    with pytest.raises(Unusable, match="syntax error"):
        open_database(tmp_path / "a", SCHEMA + "CREATE NONSENSE;", 1)
    with closing(sqlite3.connect(tmp_path / "a")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_an_older_database_is_brought_up_to_date_step_by_step(tmp_path: Path) -> None:
    """Each migration once, and what was in it stays."""
    with closing(open_database(tmp_path / "a", "CREATE TABLE a (x); INSERT INTO a VALUES (1);", 1)):
        pass
    steps = {1: "ALTER TABLE a ADD COLUMN y DEFAULT 2;", 2: "ALTER TABLE a ADD COLUMN z DEFAULT 3;"}
    for _ in range(2):
        with closing(open_database(tmp_path / "a", "nonsense", 3, steps)) as connection:
            assert connection.execute("SELECT * FROM a").fetchall() == [(1, 2, 3)]


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    """The release before it can still be started."""
    with closing(open_database(tmp_path / "a", "CREATE TABLE a (x);", 1)):
        pass
    with pytest.raises(Unusable, match="syntax error"):
        open_database(tmp_path / "a", "nonsense", 2, {1: "ALTER TABLE a ADD COLUMN y; CREATE NONSENSE;"})
    with pytest.raises(Unusable, match="too old"):
        open_database(tmp_path / "a", "nonsense", 2)
    with closing(open_database(tmp_path / "a", "nonsense", 1)) as connection:
        assert [row[1] for row in connection.execute("PRAGMA table_info(a)")] == ["x"]


@pytest.mark.parametrize("place", ["missing/store.sqlite", "folder", "file/store.sqlite"])
def test_a_place_that_cannot_be_used_is_told(tmp_path: Path, place: str) -> None:
    """No such directory, a directory in the way, a file in the way."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match="check its owner and rights"):
        open_database(tmp_path / place, SCHEMA, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_somebody_elses_state_directory_is_told(tmp_path: Path) -> None:
    """No rights to read it."""
    open_database(tmp_path / "a", SCHEMA, 1).close()
    with run_python(AS_NOBODY, tmp_path / "a") as process:
        said, _ = process.communicate(timeout=30)
    assert "cannot use" in said
    assert "check its owner and rights" in said
