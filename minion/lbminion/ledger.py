"""What on this host is ours, and what was there before it was: the minion removes and restores nothing else.

A resource enters the ledger before it is touched, so that a crash in between never leaves something of ours behind
that nobody remembers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from lbservice.database import transaction
from lbstates.kinds.kind import Resource
from lbstates.kinds.registry import KINDS
from lbstates.plan import Owned, Resources
from lbwire.codec import pack, unpack

_KINDS = {kind.name: kind for kind in KINDS}


class Ledger:
    """The owned resources: kind name -> identity -> what was there before (None: nothing, or nothing to restore)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._owned: dict[str, dict[str, Resource | None]] = {name: {} for name in _KINDS}
        for kind, identity, prior in connection.execute("SELECT kind, identity, prior FROM owned"):
            specification = _KINDS[kind].specification
            self._owned[kind][identity] = msgspec.convert(unpack(prior), specification) if prior is not None else None

    @property
    def owned(self) -> Owned:
        return self._owned

    def take(self, desired: Resources, observed: Resources) -> dict[str, tuple[str, ...]]:
        """Enter what is desired and not yet ours, with what is there now where the kind restores it later.

        Returns what is adopted, identities by kind: it was there already, just so, and will go when it is not desired
        any more.
        """
        taken: list[tuple[str, str, Resource | None]] = []
        for kind, wanted in desired.items():
            for identity in wanted.keys() - self._owned[kind].keys():
                prior = observed.get(kind, {}).get(identity) if _KINDS[kind].restores else None
                # What we made ourselves, before this ledger was, is nothing to restore.
                taken.append((kind, identity, None if prior is None or prior.ours else prior))
        if not taken:
            return {}
        rows = [(kind, identity, None if it is None else pack(msgspec.to_builtins(it))) for kind, identity, it in taken]
        with transaction(self._connection, durable=True):
            self._connection.executemany("INSERT OR REPLACE INTO owned VALUES (?, ?, ?)", rows)
        for kind, identity, prior in taken:
            self._owned[kind][identity] = prior
        return _adopted([(kind, identity) for kind, identity, _ in taken], desired, observed)

    def settle(self, desired: Resources, observed: Resources) -> None:
        """Strike out what is no longer desired and is gone, or is again as it was before us."""
        gone = [
            (kind, identity)
            for kind, ours in self._owned.items()
            for identity, prior in ours.items()
            if identity not in desired.get(kind, {})
            and (observed.get(kind, {}).get(identity) == prior or (_KINDS[kind].stays and prior is None))
        ]
        if gone:
            with transaction(self._connection, durable=True):
                self._connection.executemany("DELETE FROM owned WHERE kind = ? AND identity = ?", gone)
            for kind, identity in gone:
                del self._owned[kind][identity]


def _adopted(taken: Iterable[tuple[str, str]], desired: Resources, observed: Resources) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for kind, identity in taken:
        there = observed.get(kind, {}).get(identity)
        if not _KINDS[kind].restores and there == desired[kind][identity]:
            found.setdefault(kind, []).append(identity)
    return {kind: tuple(identities) for kind, identities in found.items()}
