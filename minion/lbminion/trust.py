"""Which keys of the master are trusted: those that the host joined with, and those that took their place since.

The next keys are announced by a message that the present one signed. From then on both are trusted, until a message that
the next one signed has come: then only that one is. Each announcement has a number that only grows, so an old one that is
replayed, or an old key, never comes back. Kept durably; forgotten when the host joins another master.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lbservice.database import transaction
from lbwire.codec import pack, unpack
from lbwire.envelope import key_id
from lbwire.errors import StaleSuccessor
from lbwire.messages import Successor

from .config import Config, signing_key

_KEY: Final = "trust"


class Pinned(msgspec.Struct, frozen=True):
    """As `Successor`; number 0 is that of the keys that the host joined with."""

    number: int
    signing: bytes
    transport: bytes


class _Kept(msgspec.Struct, frozen=True):
    """`origin` is the signing key that the host joined with; `past` those that were trusted once."""

    origin: bytes
    pinned: Pinned
    next: Pinned | None = None
    past: tuple[bytes, ...] = ()


class Trust:
    """`live` are the keys that messages may be signed with, `stored` also those that states on the disk were signed with.

    Both are mappings from a key's id, and are changed in place.
    """

    def __init__(self, connection: sqlite3.Connection, config: Config) -> None:
        self._connection = connection
        origin = signing_key(config)
        row = connection.execute("SELECT value FROM kept WHERE key = ?", (_KEY,)).fetchone()
        kept = msgspec.convert(unpack(row[0]), _Kept) if row else None
        if kept is None or kept.origin != origin:
            kept = _Kept(origin, Pinned(0, origin, config.server_key))
        self._kept = kept
        self.live: dict[bytes, Ed25519PublicKey] = {}
        self.stored: dict[bytes, Ed25519PublicKey] = {}
        self._fill()

    def _fill(self) -> None:
        live = [self._kept.pinned.signing, *([self._kept.next.signing] if self._kept.next else [])]
        self.live.clear()
        self.live.update(_by_id(live))
        self.stored.clear()
        self.stored.update(_by_id([*self._kept.past, *live]))

    @property
    def number(self) -> int:
        """Number of the last keys that were learned of; 0: none were."""
        return (self._kept.next or self._kept.pinned).number

    @property
    def transports(self) -> tuple[bytes, ...]:
        """The CURVE keys (Z85) that the master may have, the present one first."""
        return (self._kept.pinned.transport, *((self._kept.next.transport,) if self._kept.next else ()))

    def learn(self, successor: Successor) -> bool:
        """Keep the next keys; returns whether they are news. Raises `StaleSuccessor`."""
        known = self._kept.next or self._kept.pinned
        found = Pinned(successor.number, successor.signing, successor.transport)
        if found == known:
            return False
        if successor.number <= known.number:
            raise StaleSuccessor(f"keys number {successor.number} of the master, known are {known.number}")
        self._keep(msgspec.structs.replace(self._kept, next=found))
        return True

    def verified(self, identity: bytes) -> bool:
        """A message signed by this key has come; returns whether it is the next one, and the only one by that."""
        successor = self._kept.next
        if successor is None or identity != _id(successor.signing):
            return False
        past = (*self._kept.past, self._kept.pinned.signing)
        self._keep(msgspec.structs.replace(self._kept, pinned=successor, next=None, past=past))
        return True

    def _keep(self, kept: _Kept) -> None:
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?)",
                (_KEY, pack(msgspec.to_builtins(kept, builtin_types=(bytes,)))),
            )
        self._kept = kept
        self._fill()


def _id(raw: bytes) -> bytes:
    return key_id(Ed25519PublicKey.from_public_bytes(raw))


def _by_id(keys: list[bytes]) -> dict[bytes, Ed25519PublicKey]:
    return {_id(raw): Ed25519PublicKey.from_public_bytes(raw) for raw in keys}
