"""The master's memory on disk: one SQLite database, and who may read and write which part of it.

`Journal`, `Generations`, `Records`, `Keyring` and `ClientKeys` are what the rest of the master knows; SQL stands in their modules only.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from lbservice.database import Unusable, open_database, transaction

from .clientkeys import ClientKeys
from .errors import StartupError
from .generations import Generations
from .journal import Journal
from .keyring import Keyring
from .records import Records
from .rekeying import Rekeying

VERSION: Final = 2
SCHEMA: Final = """
CREATE TABLE master (boot INTEGER NOT NULL);
INSERT INTO master VALUES (0);

-- `reserved`: no command number above it was ever used; `broadcast`: the last one that went to a whole cluster.
CREATE TABLE cluster (
    name TEXT PRIMARY KEY, generation INTEGER NOT NULL DEFAULT 0, released INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0, broadcast INTEGER NOT NULL DEFAULT 0);
CREATE TABLE generation (
    cluster TEXT NOT NULL, generation INTEGER NOT NULL, text TEXT NOT NULL, file TEXT NOT NULL, pushed_by TEXT NOT NULL,
    time REAL NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL DEFAULT 'push', interventions BLOB NOT NULL DEFAULT '{}',
    reason TEXT NOT NULL DEFAULT '', origin TEXT NOT NULL DEFAULT '', content_of INTEGER NOT NULL DEFAULT 0,
    part_of INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (cluster, generation));
-- How a generation is rolled out, so that a master that comes back goes on, or goes back, as was decided.
CREATE TABLE rollout (
    cluster TEXT NOT NULL, generation INTEGER NOT NULL, course BLOB NOT NULL, phase TEXT NOT NULL,
    approved INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (cluster, generation));
CREATE TABLE state (
    cluster TEXT NOT NULL, generation INTEGER NOT NULL, role TEXT NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (cluster, generation, role));
-- Who has, or had, a part in a cluster: a host that was taken out still has to hear of it. `leaves`: the generation that
-- takes the role from the host (0: none does); `gone`: the host has applied that.
CREATE TABLE member (
    cluster TEXT NOT NULL, host TEXT NOT NULL, role TEXT NOT NULL, leaves INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (cluster, host, role));
CREATE TABLE holder (
    cluster TEXT NOT NULL, instance TEXT NOT NULL, host TEXT NOT NULL, PRIMARY KEY (cluster, instance));

-- An enrolment is one key of one minion; ids are never used again.
CREATE TABLE enrolment (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, public BLOB NOT NULL UNIQUE, state TEXT NOT NULL,
    since REAL NOT NULL, last_seen REAL, address TEXT NOT NULL DEFAULT '', online INTEGER NOT NULL DEFAULT 0,
    boot INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX one_accepted_key ON enrolment (name) WHERE state = 'accepted';
-- The key that a minion is about to replace its own by: either is accepted until the new one was used.
CREATE TABLE next_key (enrolment INTEGER PRIMARY KEY, public BLOB NOT NULL UNIQUE);
-- Keys of people and programs that ask over the network.
CREATE TABLE client (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, public BLOB NOT NULL UNIQUE, role TEXT NOT NULL,
    state TEXT NOT NULL, since REAL NOT NULL, last_seen REAL, address TEXT NOT NULL DEFAULT '');
-- The keys that this master is about to replace its own by, announced under a number that only grows.
CREATE TABLE successor (number INTEGER PRIMARY KEY, raw BLOB NOT NULL, state TEXT NOT NULL);
CREATE TABLE learned (enrolment INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (enrolment, number));
CREATE TABLE token (digest BLOB PRIMARY KEY, name TEXT NOT NULL, expires REAL NOT NULL, used REAL);

-- Enrolment 0 is the master itself. AUTOINCREMENT: a cursor is never used again, even after rows were deleted.
CREATE TABLE journal (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT, enrolment INTEGER NOT NULL, boot INTEGER NOT NULL,
    sequence INTEGER NOT NULL, minion TEXT NOT NULL, type TEXT NOT NULL, time REAL NOT NULL, received REAL NOT NULL,
    cluster TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (enrolment, boot, sequence));
-- What was pruned of the journal, by type: `cursor` is the last one's, `since` and `until` when it was received.
CREATE TABLE pruned (
    type TEXT PRIMARY KEY, count INTEGER NOT NULL, cursor INTEGER NOT NULL, since REAL NOT NULL, until REAL NOT NULL);
"""

MIGRATIONS: Final = {
    1: """
CREATE TABLE pruned (
    type TEXT PRIMARY KEY, count INTEGER NOT NULL, cursor INTEGER NOT NULL, since REAL NOT NULL, until REAL NOT NULL);
ALTER TABLE member ADD COLUMN leaves INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
CREATE TABLE next_key (enrolment INTEGER PRIMARY KEY, public BLOB NOT NULL UNIQUE);
CREATE TABLE client (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, public BLOB NOT NULL UNIQUE, role TEXT NOT NULL,
    state TEXT NOT NULL, since REAL NOT NULL, last_seen REAL, address TEXT NOT NULL DEFAULT '');
CREATE TABLE successor (number INTEGER PRIMARY KEY, raw BLOB NOT NULL, state TEXT NOT NULL);
CREATE TABLE learned (enrolment INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (enrolment, number));
ALTER TABLE generation ADD COLUMN kind TEXT NOT NULL DEFAULT 'push';
ALTER TABLE generation ADD COLUMN interventions BLOB NOT NULL DEFAULT '{}';
ALTER TABLE generation ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE generation ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE generation ADD COLUMN content_of INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generation ADD COLUMN part_of INTEGER NOT NULL DEFAULT 0;
CREATE TABLE rollout (
    cluster TEXT NOT NULL, generation INTEGER NOT NULL, course BLOB NOT NULL, phase TEXT NOT NULL,
    approved INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (cluster, generation));
""",
}
"""By the version that they start from."""


class Store:
    """Everything that the master remembers. `boot` is the number of this life of the master."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        with transaction(connection, durable=True):
            connection.execute("UPDATE master SET boot = boot + 1")
        self.boot: int = connection.execute("SELECT boot FROM master").fetchone()[0]
        self.journal = Journal(connection)
        self.generations = Generations(connection)
        self.records = Records(connection)
        self.keyring = Keyring(connection)
        self.clients = ClientKeys(connection)
        self.rekeying = Rekeying(connection)

    def close(self) -> None:
        self._connection.close()


def open_store(path: Path) -> Store:
    """Open the database at `path`, or make it; raises `StartupError`."""
    try:
        return Store(open_database(path, SCHEMA, VERSION, MIGRATIONS))
    except Unusable as error:
        raise StartupError(str(error)) from error
    except sqlite3.Error as error:
        raise StartupError(f"cannot write {path}: {error}; is another master running, or the disk full?") from error
