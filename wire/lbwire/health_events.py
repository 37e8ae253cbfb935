"""Events about the health of real servers: verdicts of checks, what becomes of a pool, and what the checks themselves lack.

A minion tells them. What else a host tells of itself is in `events`, the table of all types in `event_types`.
"""

from __future__ import annotations

from typing import ClassVar

from .events import Data


class HealthChanged(Data, frozen=True):
    """A director's checks take a real server out of a service (`state` down) or in again (up).

    `failing_seconds`: from the first probe of the other outcome until this verdict. `reason`: what the last probe met.
    """

    TYPE: ClassVar[str] = "health.changed"
    service: str
    destination: str
    real_server: str
    state: str
    reason: str
    failing_seconds: float


class HealthFlapping(Data, frozen=True):
    """A real server goes up and down: it was taken out `times` times in `seconds`, and has to pass `rise` probes now."""

    TYPE: ClassVar[str] = "health.flapping"
    service: str
    destination: str
    real_server: str
    times: int
    seconds: float
    rise: int


class DestinationSuspected(Data, frozen=True):
    """Of `connections` new ones to a real server none was ever established: it is probed at once."""

    TYPE: ClassVar[str] = "health.suspected"
    service: str
    destination: str
    real_server: str
    connections: int


class ServiceSilent(Data, frozen=True):
    """A real server found that nothing listens on it where clients are sent to (`endpoints`: "tcp VIP:port")."""

    TYPE: ClassVar[str] = "health.silent"
    endpoints: tuple[str, ...]


class ServiceListening(Data, frozen=True):
    """Something listens again on these endpoints of a real server."""

    TYPE: ClassVar[str] = "health.listening"
    endpoints: tuple[str, ...]


class PoolFrozen(Data, frozen=True):
    """More real servers of a service fail than may be out at once: `kept` stay in although they fail."""

    TYPE: ClassVar[str] = "pool.frozen"
    service: str
    failing: tuple[str, ...]
    kept: tuple[str, ...]
    most_out: int


class PoolThawed(Data, frozen=True):
    """A service has enough real servers that answer again; `seconds` since it was frozen."""

    TYPE: ClassVar[str] = "pool.thawed"
    service: str
    seconds: float


class PoolSorry(Data, frozen=True):
    """No real server of a service answers: the sorry server does."""

    TYPE: ClassVar[str] = "pool.sorry"
    service: str
    sorry: str


class PoolRecovered(Data, frozen=True):
    """A real server answers again, and the sorry server no longer; `seconds` since it did."""

    TYPE: ClassVar[str] = "pool.recovered"
    service: str
    seconds: float


class CheckSuspect(Data, frozen=True):
    """A check has never passed on any real server of a service: the check itself may be wrong."""

    TYPE: ClassVar[str] = "check.suspect"
    service: str
    kind: str
    reason: str


class CertificateExpiring(Data, frozen=True):
    """The certificate of a real server ends in `days` days (negative: it has ended); told once a day."""

    TYPE: ClassVar[str] = "check.certificate"
    service: str
    destination: str
    real_server: str
    days: float
