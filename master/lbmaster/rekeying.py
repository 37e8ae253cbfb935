"""The keys that take the place of this master's: announced by a message that the old key signs, and put in force later.

Announced, they lie beside the present ones, and every beacon brings the announcement. A minion says in its hello which it
has learned. Put in force: every stored state is signed anew (same generation, same payload) in one transaction, which
also notes that it is done; then the files are renamed. A master that dies in between goes on at its next start.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from lbservice.database import transaction
from lbservice.keys import fingerprint
from lbwire.envelope import Envelope, key_id, seal, unseal
from lbwire.errors import Refused
from lbwire.messages import Successor, payload
from lbwire.topics import EVERYONE

from . import identity
from .identity import Identity

ANNOUNCED: Final = "announced"
IN_FORCE: Final = "in force"


class Announced(msgspec.Struct, frozen=True):
    """`raw` is the signed message; `fingerprint` that of the transport key that minions will join with."""

    number: int
    raw: bytes
    fingerprint: str


class Rekeying:
    """`announced` is what is under way."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.announced: Announced | None = None
        self._learned: dict[int, int] = {}

    def begin(self, state_dir: Path) -> None:
        """Finish what was put in force when the master died, and find what is announced. Raises `OSError`."""
        row = self._connection.execute("SELECT number, raw, state FROM successor ORDER BY number DESC").fetchone()
        if row is None:
            return
        number, raw, state = row
        if state == IN_FORCE:
            identity.take_next(state_dir)
        else:
            self.announced = Announced(number, raw, fingerprint(identity.make_next(state_dir).curve.public))
            rows = self._connection.execute("SELECT enrolment, number FROM learned WHERE number = ?", (number,))
            self._learned = dict(rows.fetchall())

    def announce(self, state_dir: Path, present: Identity) -> Announced:
        """Make the next keys and announce them; those that are announced already stay. Raises `OSError`."""
        if self.announced is None:
            following = identity.make_next(state_dir)
            with transaction(self._connection, durable=True):
                number = 1 + self._connection.execute("SELECT coalesce(max(number), 0) FROM successor").fetchone()[0]
                message = Successor(number, following.signing_public, following.curve.public)
                raw = seal(Envelope("successor", "", EVERYONE, 0, 0, payload(message)), present.signing)
                self._connection.execute("INSERT INTO successor VALUES (?, ?, ?)", (number, raw, ANNOUNCED))
            self.announced = Announced(number, raw, fingerprint(following.curve.public))
        return self.announced

    def learned(self, enrolment: int, number: int) -> None:
        """A minion said which keys it has learned of."""
        if self.announced is None or number != self.announced.number or self._learned.get(enrolment) == number:
            return
        with transaction(self._connection, durable=True):
            self._connection.execute("INSERT OR IGNORE INTO learned VALUES (?, ?)", (enrolment, number))
        self._learned[enrolment] = number

    def has_learned(self, enrolment: int) -> bool:
        return enrolment in self._learned

    def put_in_force(self, state_dir: Path, present: Identity) -> None:
        """Sign every stored state with the next key, and let that be the present one. Raises `OSError`."""
        if self.announced is None:
            return
        following = identity.make_next(state_dir)
        trusted = {key_id(present.signing.public_key()): present.signing.public_key()}
        with transaction(self._connection, durable=True):
            rows = self._connection.execute("SELECT cluster, generation, role, raw FROM state").fetchall()
            for cluster, generation, role, raw in rows:
                try:
                    fresh = seal(unseal(raw, trusted), following.signing)
                except Refused:
                    # Damaged on the disk: it stays so, and a push mends it.
                    continue
                self._connection.execute(
                    "UPDATE state SET raw = ? WHERE cluster = ? AND generation = ? AND role = ?",
                    (fresh, cluster, generation, role),
                )
            self._connection.execute(
                "UPDATE successor SET state = ? WHERE number = ?", (IN_FORCE, self.announced.number)
            )
        identity.take_next(state_dir)
        self.announced = None
        self._learned.clear()
