"""The master's database: that of an earlier release is brought to the present schema, and nothing in it is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lbmaster.errors import StartupError
from lbmaster.store import SCHEMA, VERSION, open_store
from lbservice.database import open_database
from lbstates.interventions import NONE

SCHEMA_1 = Path(__file__).with_name("store-1.sql")


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A database of schema 1 in which generation 1 has converged and 2 is under way."""
    path = tmp_path / "store.sqlite"
    with closing(open_database(path, SCHEMA_1.read_text(), 1)) as connection:
        connection.execute("INSERT INTO cluster (name, generation, released) VALUES ('web', 2, 1)")
        for number, status in ((1, "converged"), (2, "staged")):
            row = ("web", number, f"cluster: web # {number}", "web.yaml", "ann@here", 1700000000.0, status)
            connection.execute("INSERT INTO generation VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO member VALUES ('web', 'r1', 'realserver')")
    return path


def test_an_earlier_database_is_brought_to_the_present_schema(earlier: Path) -> None:
    """What was pushed then was a push of ann's, with nothing decided beside it; it can be gone back to."""
    with closing(open_store(earlier)) as store:
        made = store.records.made("web", 1)
        assert made is not None
        assert (made.kind, made.by, made.status, made.interventions) == ("push", "ann@here", "converged", NONE)
        assert store.records.text("web", 1) == "cluster: web # 1"
        assert store.records.converged("web", 3) == 1
        assert store.records.going("web", 2) is None
        assert [row.generation for row in store.records.newest("web", 9)] == [2, 1]


def test_it_has_the_same_tables_as_a_new_one(earlier: Path, tmp_path: Path) -> None:
    """Whoever reads it cannot tell."""
    open_store(earlier).close()
    open_database(tmp_path / "new.sqlite", SCHEMA, VERSION).close()
    assert columns(earlier) == columns(tmp_path / "new.sqlite")


def columns(path: Path) -> dict[str, set[str]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")
        ]
        return {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in names}


def test_a_database_of_a_later_release_is_refused(earlier: Path) -> None:
    """With the way out, and untouched."""
    with closing(sqlite3.connect(earlier)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StartupError, match="newer release"):
        open_store(earlier)
