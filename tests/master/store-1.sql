-- The schema of the release before generations knew who asked for them.
CREATE TABLE master (boot INTEGER NOT NULL);
INSERT INTO master VALUES (0);

-- `reserved`: no command number above it was ever used; `broadcast`: the last one that went to a whole cluster.
CREATE TABLE cluster (
    name TEXT PRIMARY KEY, generation INTEGER NOT NULL DEFAULT 0, released INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0, broadcast INTEGER NOT NULL DEFAULT 0);
CREATE TABLE generation (
    cluster TEXT NOT NULL, generation INTEGER NOT NULL, text TEXT NOT NULL, file TEXT NOT NULL, pushed_by TEXT NOT NULL,
    time REAL NOT NULL, status TEXT NOT NULL, PRIMARY KEY (cluster, generation));
CREATE TABLE state (
    cluster TEXT NOT NULL, generation INTEGER NOT NULL, role TEXT NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (cluster, generation, role));
-- Who has, or had, a part in a cluster: a host that was taken out still has to hear of it.
CREATE TABLE member (
    cluster TEXT NOT NULL, host TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (cluster, host, role));
CREATE TABLE holder (
    cluster TEXT NOT NULL, instance TEXT NOT NULL, host TEXT NOT NULL, PRIMARY KEY (cluster, instance));

-- An enrolment is one key of one minion; ids are never used again.
CREATE TABLE enrolment (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, public BLOB NOT NULL UNIQUE, state TEXT NOT NULL,
    since REAL NOT NULL, last_seen REAL, address TEXT NOT NULL DEFAULT '', online INTEGER NOT NULL DEFAULT 0,
    boot INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX one_accepted_key ON enrolment (name) WHERE state = 'accepted';
CREATE TABLE token (digest BLOB PRIMARY KEY, name TEXT NOT NULL, expires REAL NOT NULL, used REAL);

-- Enrolment 0 is the master itself. AUTOINCREMENT: a cursor is never used again, even after rows were deleted.
CREATE TABLE journal (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT, enrolment INTEGER NOT NULL, boot INTEGER NOT NULL,
    sequence INTEGER NOT NULL, minion TEXT NOT NULL, type TEXT NOT NULL, time REAL NOT NULL, received REAL NOT NULL,
    cluster TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (enrolment, boot, sequence));
