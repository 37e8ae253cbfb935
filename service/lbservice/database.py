"""Opening the SQLite files that both daemons keep their memory in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

NOTHING: Final[Mapping[int, str]] = MappingProxyType({})


class Unusable(Exception):
    """The state directory or the database in it cannot be used; the text says which, and the way out."""


def open_database(path: Path, schema: str, version: int, migrations: Mapping[int, str] = NOTHING) -> sqlite3.Connection:
    """Open (or create, mode 0600) a database in WAL mode, and make sure that it has our schema.

    Every commit reaches the kernel before it returns, so a killed process loses nothing that was committed; what must
    outlive a power cut as well is committed by a durable `transaction`.
    `schema` makes version `version`; `migrations` by version bring an older one to the next. Transactions are explicit. Raises `Unusable` for a file that cannot be opened, is no database, or is newer than us.
    """
    try:
        path.touch(mode=0o600, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error
    try:
        _prepare(connection, path, schema, version, migrations)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool = False) -> Iterator[None]:
    """All of it or nothing. Survives the death of the process; with `durable`, a power cut as well."""
    if durable:
        connection.execute("PRAGMA synchronous = FULL")
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A commit that the disk has no room for is rolled back by SQLite itself.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    finally:
        if durable:
            connection.execute("PRAGMA synchronous = NORMAL")


def _prepare(
    connection: sqlite3.Connection, path: Path, schema: str, version: int, migrations: Mapping[int, str]
) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > version:
        raise Unusable(f"{path} was written by a newer release (schema {found}, this one knows {version}): upgrade")
    if found == 0:
        _run(connection, schema, version)
        return
    for old in range(found, version):
        if old not in migrations:
            raise Unusable(
                f"{path} was written by a release that is too old (schema {old}): start with an empty directory"
            )
        _run(connection, migrations[old], old + 1)


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    try:
        connection.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _unusable(path: Path, error: Exception) -> Unusable:
    return Unusable(f"cannot use {path}: {error}; check its owner and rights, and that the disk has room")
