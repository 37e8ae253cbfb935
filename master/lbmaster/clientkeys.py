"""The keys of people and programs that ask over the network: which is whose, and what it may.

A name has any number of keys, so that a key is replaced by making another and revoking the old one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from lbservice.database import transaction
from lbservice.keys import fingerprint

from .peer import Right

ClientState = Literal["accepted", "revoked"]

_COLUMNS: Final = "id, name, public, role, state, since, last_seen, address"


class Client(msgspec.Struct, frozen=True):
    """One key of a client. `public` is in Z85; times are Unix time."""

    id: int
    name: str
    public: bytes
    role: Right
    state: ClientState
    since: float
    last_seen: float | None
    address: str

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public)


class ClientKeys:
    """`accepted` (CURVE public key in Z85, text) answers every handshake and every request from memory.

    `cut` is called with a key that was just revoked, to end what it has under way.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.accepted: dict[str, Client] = {}
        self.cut: Callable[[bytes], None] = _nothing
        self._load()

    def _load(self) -> None:
        self.accepted.clear()
        self.accepted.update({it.public.decode(): it for it in self.all() if it.state == "accepted"})

    def all(self) -> list[Client]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM client ORDER BY name, id")  # noqa: S608 - constant
        return [
            msgspec.convert(dict(zip(Client.__struct_fields__, row, strict=True)), Client, strict=False) for row in rows
        ]

    def add(self, name: str, public: bytes, role: Right) -> Client:
        """Accept a key. Raises `sqlite3.IntegrityError` if it is known."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "INSERT INTO client (name, public, role, state, since) VALUES (?, ?, ?, 'accepted', ?)",
                (name, public, role, time.time()),
            )
        self._load()
        return self.accepted[public.decode()]

    def revoke(self, client: Client) -> None:
        """Accept this key no more, from now on and for ever."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE client SET state = 'revoked', since = ? WHERE id = ?", (time.time(), client.id)
            )
        self._load()
        self.cut(client.public)

    def seen(self, client: Client, address: str) -> None:
        """Note when and from where a key was used last."""
        with transaction(self._connection):
            self._connection.execute(
                "UPDATE client SET last_seen = ?, address = ? WHERE id = ?", (time.time(), address, client.id)
            )


def _nothing(_: bytes) -> None:
    """Nobody listens for clients."""
