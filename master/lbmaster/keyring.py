"""Which key belongs to which minion, and the tokens that new ones join with."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from typing import Final, Literal

import msgspec

from lbservice.database import transaction
from lbservice.keys import fingerprint

KeyState = Literal["accepted", "pending", "rejected", "revoked"]

MOST_PENDING: Final = 200
"""Anybody may ask to join, so the list has an end."""
TOKEN_BYTES: Final = 24

_COLUMNS: Final = "id, name, public, state, since, last_seen, address, online"


class Enrolment(msgspec.Struct, frozen=True):
    """One key of one minion. `public` is in Z85; times are Unix time; `online`: it was, when last noted."""

    id: int
    name: str
    public: bytes
    state: KeyState
    since: float
    last_seen: float | None
    address: str
    online: bool

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public)


class Keyring:
    """At most one key of a name is accepted. `accepted` answers the question of every handshake from memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.accepted: dict[str, Enrolment] = {}
        self._load()

    def _load(self) -> None:
        # In place: handshakes and the uplink hold on to this very mapping.
        known = {e.id: e for e in self.all() if e.state == "accepted"}
        following = self._connection.execute("SELECT enrolment, public FROM next_key").fetchall()
        self.accepted.clear()
        self.accepted.update({e.public.decode(): e for e in known.values()})
        self.accepted.update({public.decode(): known[of] for of, public in following if of in known})

    def all(self) -> list[Enrolment]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM enrolment ORDER BY name, id")  # noqa: S608 - constant
        return [
            msgspec.convert(dict(zip(Enrolment.__struct_fields__, row, strict=True)), Enrolment, strict=False)
            for row in rows
        ]

    def by_name(self, name: str) -> Enrolment | None:
        """Find the accepted key of a minion."""
        return next((enrolment for enrolment in self.accepted.values() if enrolment.name == name), None)

    def by_public(self, public: bytes) -> Enrolment | None:
        return next((enrolment for enrolment in self.all() if enrolment.public == public), None)

    def is_full(self) -> bool:
        """Whether no further key may wait to be accepted."""
        query = "SELECT count(*) FROM enrolment WHERE state = 'pending'"
        return bool(self._connection.execute(query).fetchone()[0] >= MOST_PENDING)

    def add(self, name: str, public: bytes, state: KeyState, address: str) -> Enrolment:
        """Enter a key that was not known. Raises `sqlite3.IntegrityError` if it is, or the name has an accepted one."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "INSERT INTO enrolment (name, public, state, since, address) VALUES (?, ?, ?, ?, ?)",
                (name, public, state, time.time(), address),
            )
        return self._changed(public)

    def set_state(self, enrolment: Enrolment, state: KeyState) -> Enrolment:
        """Accept, reject or revoke. Raises `sqlite3.IntegrityError` if the name has another accepted key."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE enrolment SET state = ?, since = ? WHERE id = ?", (state, time.time(), enrolment.id)
            )
        return self._changed(enrolment.public)

    def _changed(self, public: bytes) -> Enrolment:
        self._load()
        found = self.by_public(public)
        if found is None:
            raise LookupError(f"the key {fingerprint(public)} vanished from the store")
        return found

    def follow_up(self, enrolment: Enrolment, public: bytes) -> bool:
        """Accept another key of this minion as well, which is to take the place of its own; False if it is somebody's."""
        try:
            with transaction(self._connection, durable=True):
                known = self._connection.execute(
                    "SELECT 1 FROM enrolment WHERE public = ? UNION SELECT 1 FROM client WHERE public = ?",
                    (public, public),
                ).fetchone()
                if known:
                    return False
                self._connection.execute("INSERT OR REPLACE INTO next_key VALUES (?, ?)", (enrolment.id, public))
        except sqlite3.IntegrityError:
            return False
        self._load()
        return True

    def replaced(self, enrolment: Enrolment, public: bytes) -> Enrolment | None:
        """The minion has used its next key: it is its only one now, and the old one is revoked. None if that was so."""
        with transaction(self._connection, durable=True):
            row = self._connection.execute(
                "DELETE FROM next_key WHERE enrolment = ? AND public = ? RETURNING enrolment", (enrolment.id, public)
            ).fetchone()
            if row is None:
                return None
            self._connection.execute(
                "UPDATE enrolment SET public = ?, since = ? WHERE id = ?", (public, time.time(), enrolment.id)
            )
            self._connection.execute(
                "INSERT INTO enrolment (name, public, state, since, address) VALUES (?, ?, 'revoked', ?, ?)",
                (enrolment.name, enrolment.public, time.time(), enrolment.address),
            )
        return self._changed(public)

    def seen(self, enrolment: int, at: float, *, online: bool) -> None:
        """Note when a minion was last heard of, and whether it is there."""
        with transaction(self._connection):
            self._connection.execute(
                "UPDATE enrolment SET last_seen = ?, online = ? WHERE id = ?", (at, online, enrolment)
            )

    # --- tokens ---------------------------------------------------------------------------------------------------

    def make_token(self, seconds: float, name: str) -> tuple[str, float]:
        """Make a token for one minion ("" or: only of this name); returns it and when it expires (Unix time)."""
        token, expires = secrets.token_urlsafe(TOKEN_BYTES), time.time() + seconds
        with transaction(self._connection, durable=True):
            self._connection.execute("DELETE FROM token WHERE expires < ?", (time.time() - 86400,))
            self._connection.execute("INSERT INTO token VALUES (?, ?, ?, NULL)", (_digest(token), name, expires))
        return token, expires

    def use_token(self, token: str, name: str) -> str:
        """Use a token up for this name; returns "" or why it is not valid, which uses nothing up."""
        with transaction(self._connection, durable=True):
            row = self._connection.execute(
                "SELECT name, expires, used FROM token WHERE digest = ?", (_digest(token),)
            ).fetchone()
            if row is None:
                return "this token is unknown"
            bound, expires, used = row
            if used is not None:
                return "this token was used before"
            if expires < time.time():
                return "this token has expired"
            if bound not in ("", name):
                return "this token is for another host"
            self._connection.execute("UPDATE token SET used = ? WHERE digest = ?", (time.time(), _digest(token)))
        return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
