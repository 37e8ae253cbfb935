"""Generations and command numbers of every cluster: numbers that only grow, committed before they are used.

What is read of old generations, and how a rollout stands, is in `records`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from lbservice.database import transaction
from lbstates.interventions import NONE, Interventions

from .members import Members
from .requests import Request

Status = Literal["staged", "released", "converged", "failed", "rolled_back"]

RESERVE: Final = 1000
"""Command numbers that one flush to the disk reserves; a restart skips what was not used."""


class Cluster(msgspec.Struct, frozen=True):
    """Where a cluster stands: the last generation made, the last one released to all hosts, the last broadcast."""

    generation: int = 0
    released: int = 0
    broadcast: int = 0


class Making(msgspec.Struct, frozen=True):
    """What a generation is made of. `roles`: role -> hosts; `course`: how it is rolled out (`records`), as JSON.

    `content_of`: the generation that it repeats (0: none); `part_of`: the one before it that belongs to the same request.
    """

    text: str
    file: str
    request: Request
    roles: Mapping[str, tuple[str, ...]]
    interventions: Interventions = NONE
    content_of: int = 0
    part_of: int = 0
    course: bytes = b"{}"


class Generations:
    """Hands out numbers, and keeps what was made under them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.membership = Members(connection)
        self._clusters: dict[str, Cluster] = {}
        self._reserved: dict[str, int] = {}
        self._next: dict[str, int] = {}
        rows = connection.execute("SELECT name, generation, released, reserved, broadcast FROM cluster")
        for name, generation, released, reserved, broadcast in rows:
            self._clusters[name] = Cluster(generation, released, broadcast)
            self._reserved[name], self._next[name] = reserved, reserved + 1

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        return self._clusters

    def begin(self, cluster: str, making: Making, seal: Callable[[int], Mapping[str, bytes]]) -> int:
        """Make the next generation: its number, what it is made of, and the signed states (`seal(number)`).

        It is on the disk when this returns; a number that was not returned was never used.
        """
        old = self._clusters.get(cluster, Cluster())
        number, request = old.generation + 1, making.request
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "INSERT INTO cluster (name, generation) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET generation = excluded.generation",
                (cluster, number),
            )
            self._connection.execute(
                "INSERT INTO generation (cluster, generation, text, file, pushed_by, time, status, kind, interventions,"
                " reason, origin, content_of, part_of) VALUES (?, ?, ?, ?, ?, ?, 'staged', ?, ?, ?, ?, ?, ?)",
                (
                    cluster, number, making.text, making.file, request.by, time.time(), request.kind,
                    making.interventions.encode(), request.reason, request.origin, making.content_of, making.part_of,
                ),
            )  # fmt: skip
            self._connection.execute(
                "INSERT INTO rollout (cluster, generation, course, phase) VALUES (?, ?, ?, 'running')",
                (cluster, number, making.course),
            )
            self._connection.executemany(
                "INSERT INTO state VALUES (?, ?, ?, ?)",
                [(cluster, number, role, raw) for role, raw in seal(number).items()],
            )
            self.membership.note(cluster, number, making.roles)
        self._clusters[cluster] = msgspec.structs.replace(old, generation=number)
        return number

    def set_status(self, cluster: str, generation: int, status: Status) -> None:
        """Note how far a generation came."""
        with transaction(self._connection):
            self._connection.execute(
                "UPDATE generation SET status = ? WHERE cluster = ? AND generation = ?", (status, cluster, generation)
            )

    def set_released(self, cluster: str, generation: int) -> None:
        """Note that a generation was released to every host: it is the cluster's desired state from now on."""
        with transaction(self._connection, durable=True):
            self._connection.execute("UPDATE cluster SET released = ? WHERE name = ?", (generation, cluster))
            self._connection.execute(
                "UPDATE generation SET status = 'released' WHERE cluster = ? AND generation = ?", (cluster, generation)
            )
        self._clusters[cluster] = msgspec.structs.replace(self._clusters[cluster], released=generation)

    def status(self, cluster: str, generation: int) -> Status | None:
        row = self._connection.execute(
            "SELECT status FROM generation WHERE cluster = ? AND generation = ?", (cluster, generation)
        ).fetchone()
        return row[0] if row else None

    def states(self, cluster: str, generation: int) -> dict[str, bytes]:
        """Give the signed state of each role."""
        rows = self._connection.execute(
            "SELECT role, raw FROM state WHERE cluster = ? AND generation = ?", (cluster, generation)
        )
        return dict(rows.fetchall())

    # --- command numbers ------------------------------------------------------------------------------------------

    def next_command(self, cluster: str, *, broadcast: bool = False) -> int:
        """Take the next number; `broadcast`: it goes to the whole cluster, and beacons shall tell who missed it."""
        number = self._next.get(cluster, 1)
        if number > self._reserved.get(cluster, 0):
            self.reserve(cluster)
        self._next[cluster] = number + 1
        if broadcast:
            with transaction(self._connection):
                self._connection.execute("UPDATE cluster SET broadcast = ? WHERE name = ?", (number, cluster))
            self._clusters[cluster] = msgspec.structs.replace(self._clusters[cluster], broadcast=number)
        return number

    def reserve(self, cluster: str) -> None:
        """Flush a reservation of further numbers to the disk, if half of the last one is used up.

        Called when there is time for it, so that a failover need not wait for the disk.
        """
        number = self._next.get(cluster, 1)
        if self._reserved.get(cluster, 0) - number >= RESERVE // 2:
            return
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "INSERT INTO cluster (name, reserved) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET reserved = excluded.reserved",
                (cluster, number + RESERVE - 1),
            )
        self._reserved[cluster] = number + RESERVE - 1
        self._clusters.setdefault(cluster, Cluster())

    # --- who held what --------------------------------------------------------------------------------------------

    def holders(self) -> dict[tuple[str, str], str]:
        """Tell who was last known to be MASTER: (cluster, instance) -> host."""
        rows = self._connection.execute("SELECT cluster, instance, host FROM holder")
        return {(cluster, instance): host for cluster, instance, host in rows}

    def set_holder(self, cluster: str, instance: str, host: str) -> None:
        with transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO holder VALUES (?, ?, ?)", (cluster, instance, host))
