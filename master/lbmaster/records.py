"""What is kept of every generation beside its states, and how its rollout stands. SQL and nothing else.

The numbers themselves, and what goes with making one, are in `generations`.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Literal

import msgspec

from lbservice.database import transaction
from lbstates.interventions import Interventions, decode

from .generations import Status

Phase = Literal["running", "settled", "rolling_back", "over"]
"""Of a rollout: under way; its second generation is to follow; it is to be taken back; nothing is left to do."""

_COLUMNS: Final = "generation, kind, status, pushed_by, origin, reason, file, time, content_of, part_of, interventions"


class Made(msgspec.Struct, frozen=True):
    """A generation as it was made, but for its file and its states; `time` is Unix time."""

    generation: int
    kind: str
    status: Status
    by: str
    origin: str
    reason: str
    file: str
    time: float
    content_of: int
    part_of: int
    interventions: Interventions


class Going(msgspec.Struct, frozen=True):
    """How a rollout stands; `course` as it was given to `Generations.begin`.

    `approved`: an operator let it go on after this wave; `reason`: why it is to be taken back.
    """

    course: bytes
    phase: Phase
    approved: int
    reason: str


class Records:
    """Reads and notes by cluster and number."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def made(self, cluster: str, generation: int) -> Made | None:
        """Describe a generation; None if there is none, or no longer. Raises `ValueError` for a damaged row."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM generation WHERE cluster = ? AND generation = ?",  # noqa: S608 - constant
            (cluster, generation),
        ).fetchone()
        return _made(row) if row else None

    def newest(self, cluster: str, limit: int) -> list[Made]:
        """Describe the last ones, the newest first."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM generation WHERE cluster = ? ORDER BY generation DESC LIMIT ?",  # noqa: S608
            (cluster, limit),
        )
        return [_made(row) for row in rows]

    def text(self, cluster: str, generation: int) -> str:
        """Return the cluster file of a generation; "" if it is not kept."""
        row = self._connection.execute(
            "SELECT text FROM generation WHERE cluster = ? AND generation = ?", (cluster, generation)
        ).fetchone()
        return str(row[0]) if row else ""

    def converged(self, cluster: str, before: int) -> int:
        """Return the last generation below `before` that every host had, and that was no half of one; 0: none."""
        row = self._connection.execute(
            "SELECT MAX(generation) FROM generation WHERE cluster = ? AND generation < ? AND status = 'converged'"
            " AND kind != 'settle'",
            (cluster, before),
        ).fetchone()
        return int(row[0] or 0)

    # --- rollouts -------------------------------------------------------------------------------------------------

    def going(self, cluster: str, generation: int) -> Going | None:
        """Tell how a rollout stands; None for one of a release that noted nothing."""
        row = self._connection.execute(
            "SELECT course, phase, approved, reason FROM rollout WHERE cluster = ? AND generation = ?",
            (cluster, generation),
        ).fetchone()
        return Going(*row) if row else None

    def set_phase(self, cluster: str, generation: int, phase: Phase, reason: str = "") -> None:
        """Note what is next, so that it outlives a power cut."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE rollout SET phase = ?, reason = ? WHERE cluster = ? AND generation = ?",
                (phase, reason, cluster, generation),
            )

    def ended(self, cluster: str, generation: int, phase: Phase, status: Status, reason: str = "") -> None:
        """Note how a generation ended, and what is next, at once: a power cut leaves both or neither.

        Where to go back to is decided by the status, so that it may not lag behind.
        """
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE rollout SET phase = ?, reason = ? WHERE cluster = ? AND generation = ?",
                (phase, reason, cluster, generation),
            )
            self._connection.execute(
                "UPDATE generation SET status = ? WHERE cluster = ? AND generation = ?", (status, cluster, generation)
            )

    def set_course(self, cluster: str, generation: int, course: bytes) -> None:
        """Note that an operator changed how a rollout goes."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE rollout SET course = ? WHERE cluster = ? AND generation = ?", (course, cluster, generation)
            )

    def approve(self, cluster: str, generation: int, wave: int) -> None:
        """Note that an operator let a rollout go on after a wave."""
        with transaction(self._connection, durable=True):
            self._connection.execute(
                "UPDATE rollout SET approved = ? WHERE cluster = ? AND generation = ?", (wave, cluster, generation)
            )

    def forget(self, cluster: str, keep: int, *needed: int) -> None:
        """Drop all but the last `keep` generations and those that are `needed`."""
        row = self._connection.execute(
            "SELECT MAX(generation) FROM generation WHERE cluster = ?", (cluster,)
        ).fetchone()
        first = int(row[0] or 0) - keep + 1
        spared = ", ".join(str(int(number)) for number in needed) or "0"
        with transaction(self._connection):
            for table in ("state", "rollout", "generation"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE cluster = ? AND generation < ? AND generation NOT IN ({spared})",  # noqa: S608
                    (cluster, first),
                )


def _made(row: tuple[object, ...]) -> Made:
    *plain, interventions = row
    decoded = decode(interventions if isinstance(interventions, bytes) else str(interventions).encode())
    values = dict(zip(Made.__struct_fields__, plain, strict=False))
    return msgspec.convert({**values, "interventions": decoded}, Made, strict=False)
