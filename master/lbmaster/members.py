"""Who has, or had, which role in a cluster: who is to be told of it, and who is no longer.

A host that was taken out still has to hear that; once it has applied the generation that takes a role from it, it hears
nothing of that role any more, whatever it says afterwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from lbservice.database import transaction


class Members:
    """Reads and keeps; `note` is called inside the transaction that makes a generation."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def note(self, cluster: str, generation: int, roles: Mapping[str, tuple[str, ...]]) -> None:
        """Enter the hosts of a new generation by role, and note which roles it takes from whom."""
        there = {(host, role) for role, hosts in roles.items() for host in hosts}
        rows = self._connection.execute("SELECT host, role FROM member WHERE cluster = ? AND NOT leaves", (cluster,))
        taken = [(generation, cluster, *member) for member in rows if member not in there]
        self._connection.executemany("UPDATE member SET leaves = ? WHERE cluster = ? AND host = ? AND role = ?", taken)
        self._connection.executemany(
            "INSERT INTO member (cluster, host, role) VALUES (?, ?, ?)"
            " ON CONFLICT (cluster, host, role) DO UPDATE SET leaves = 0, gone = 0",
            [(cluster, host, role) for host, role in sorted(there)],
        )

    def roles(self, cluster: str) -> dict[str, tuple[str, ...]]:
        """Tell the roles that each host has, or had until a generation that it has not applied yet."""
        found: dict[str, tuple[str, ...]] = {}
        rows = self._connection.execute(
            "SELECT host, role FROM member WHERE cluster = ? AND NOT gone ORDER BY role", (cluster,)
        )
        for host, role in rows:
            found[host] = (*found.get(host, ()), role)
        return found

    def leaving(self, cluster: str) -> dict[str, int]:
        """Tell which hosts are to lose a role, each with the first generation that they have to apply for that."""
        rows = self._connection.execute(
            "SELECT host, min(leaves) FROM member WHERE cluster = ? AND leaves AND NOT gone GROUP BY host", (cluster,)
        )
        return dict(rows.fetchall())

    def set_gone(self, cluster: str, host: str, applied: int) -> None:
        """Note that a host has applied a generation: of the roles that it lost by then it hears nothing any more."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE member SET gone = 1 WHERE cluster = ? AND host = ? AND leaves BETWEEN 1 AND ?",
                (cluster, host, applied),
            )
