"""The minion's memory on disk: one SQLite file that `holdings`, `ledger` and `spool` share."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from lbservice.database import open_database

VERSION: Final = 2
SCHEMA: Final = """
CREATE TABLE kept (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE state (
    cluster TEXT NOT NULL, audience TEXT NOT NULL, generation INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (cluster, audience, generation)
) WITHOUT ROWID;
CREATE TABLE released (cluster TEXT PRIMARY KEY, generation INTEGER NOT NULL, applied INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owned (kind TEXT NOT NULL, identity TEXT NOT NULL, prior BLOB, PRIMARY KEY (kind, identity)) WITHOUT ROWID;
CREATE TABLE event (
    boot INTEGER NOT NULL, sequence INTEGER NOT NULL, packed BLOB NOT NULL, worth INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (boot, sequence)
) WITHOUT ROWID;
CREATE INDEX event_worth ON event (worth, boot, sequence);
"""
MIGRATIONS: Final = {
    # Events that an earlier release left are ordinary, and its transitions vital.
    1: """
ALTER TABLE event ADD COLUMN worth INTEGER NOT NULL DEFAULT 1;
UPDATE event SET worth = 2 WHERE instr(packed, CAST('vrrp.transition' AS BLOB));
CREATE INDEX event_worth ON event (worth, boot, sequence);
"""
}


def open_store(directory: Path) -> sqlite3.Connection:
    """Open the minion's database below its state directory; raises `lbservice.database.Unusable`."""
    return open_database(directory / "minion.sqlite", SCHEMA, VERSION, MIGRATIONS)
