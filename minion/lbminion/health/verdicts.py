"""What this host holds of its real servers and their pools, in memory and on disk. Probes nothing, tells nobody.

Every verdict is a row of its own, so that little is written when little changes. What is on disk may be a second old:
verdicts are proven anew all the time, and nothing is lost with that second. They are of one boot of this host: after a
reboot the kernel's table is empty, and everything has to prove itself first.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from lbminion.errors import HostError
from lbservice.database import transaction
from lbstates.balancing import VirtualService
from lbstates.checks import Check
from lbstates.desired import RoleState
from lbstates.facts import HostFacts
from lbstates.health import Happening, Outcome, Verdict, adopted, judge, renewed
from lbstates.plan import Resources
from lbstates.pools import PoolDecision, decide
from lbwire.codec import pack, unpack
from lbwire.errors import Refused

from . import targets

logger = logging.getLogger(__name__)
T = TypeVar("T")

_DESTINATION: Final = "health destination "
_POOL: Final = "health pool "
_BOOT: Final = "health boot"
_VERSION: Final = 1


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The verdict on a destination, and the check that it is by; `warned`: when its certificate was last spoken of."""

    verdict: Verdict
    check: Check
    warned: float | None = None


class Pool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was decided last for a service: who is `out`, and since when it is frozen, or its sorry server answers."""

    out: tuple[str, ...] = ()
    frozen: float | None = None
    sorry: float | None = None
    suspect: bool = False


_NEW_POOL: Final = Pool()


class Verdicts:
    """Verdicts by the identity of the destination, pools by that of the service.

    `in_use` names the destinations that the kernel has with a weight: such a one of which nothing is held is taken for up.
    `clock` gives seconds since the boot `boot`.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        in_use: Callable[[], Collection[str]],
        host: str,
        boot: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._in_use, self._host, self._boot = connection, in_use, host, boot
        self.clock = clock
        self.held: dict[str, Held] = {}
        self.pools: dict[str, Pool] = {}
        self._dirty: set[str] = set()
        self._load()

    # --- weighing -------------------------------------------------------------------------------------------------

    def weights(self, states: Iterable[RoleState], facts: HostFacts) -> Mapping[str, int]:  # noqa: ARG002 - as all that weigh
        """Weigh by what is held, and change nothing."""
        services = targets.services(states, self._host)
        found: dict[str, int] = {}
        unknown = self._unknown(services)
        using = set(self._in_use()) & unknown if unknown else ()
        for service in services:
            found |= self.decide(service, using).weights
        return found

    def follow(self, states: Iterable[RoleState], facts: HostFacts) -> Mapping[str, int]:
        """Do the same: what is only held watches nothing."""
        return self.weights(states, facts)

    def seen(self, observed: Resources) -> None:
        """It does not matter."""

    def decide(self, service: VirtualService, using: Collection[str] = ()) -> PoolDecision:
        """Decide for a service; `using` are destinations of which nothing is held, and which are taken for up."""
        now = self.clock()
        found = {
            identity: self.held[identity].verdict
            for identity in map(service.identity_of, service.destinations)
            if identity in self.held
        }
        found |= {identity: adopted(now) for identity in using}
        return decide(service, found, now, self.pools.get(service.identity, _NEW_POOL).out)

    def _unknown(self, services: Iterable[VirtualService]) -> set[str]:
        named = (
            it.identity_of(destination) for it in services for destination in it.destinations if destination.weight
        )
        return {identity for identity in named if identity not in self.held}

    def taken_away(self, gates: Collection[str]) -> frozenset[str]:
        """Name those of these destinations that the kernel has no more; none of them if it cannot be asked."""
        try:
            return frozenset(gates) - frozenset(self._in_use())
        except HostError:
            return frozenset()

    # --- holding --------------------------------------------------------------------------------------------------

    def keep(self, checks: Mapping[str, Check], services: Iterable[VirtualService]) -> None:
        """Hold verdicts on just these: new ones begin, and those whose check was changed have to prove themselves anew."""
        unknown = checks.keys() - self.held.keys()
        using = set(self._in_use()) if unknown else set()
        for identity, check in checks.items():
            held = self.held.get(identity)
            if held is None:
                now = self.clock()
                self._hold(identity, Held(adopted(now) if identity in using else Verdict(since=now), check))
            elif held.check != check:
                self._hold(identity, Held(renewed(held.verdict), check, held.warned))
        for identity in self.held.keys() - checks.keys():
            del self.held[identity]
            self._dirty.add(_DESTINATION + identity)
        for identity in self.pools.keys() - {service.identity for service in services}:
            del self.pools[identity]
            self._dirty.add(_POOL + identity)

    def judge(self, identity: str, outcome: Outcome) -> tuple[Happening, ...]:
        """Take a probe into account."""
        held = self.held[identity]
        judged = judge(held.verdict, held.check, outcome, self.clock())
        if judged.verdict is not held.verdict:
            kept = msgspec.structs.replace(held, verdict=judged.verdict)
            self.held[identity] = kept
            if judged.verdict.state != held.verdict.state or judged.verdict.proven != held.verdict.proven:
                self._dirty.add(_DESTINATION + identity)
        return judged.happenings

    def warned(self, identity: str, now: float) -> None:
        """Note that a certificate was spoken of."""
        self._hold(identity, msgspec.structs.replace(self.held[identity], warned=now))

    def decided(self, service: str, pool: Pool) -> None:
        """Note what was decided for a service."""
        if self.pools.get(service, _NEW_POOL) != pool:
            self.pools[service] = pool
            self._dirty.add(_POOL + service)

    def _hold(self, identity: str, held: Held) -> None:
        self.held[identity] = held
        self._dirty.add(_DESTINATION + identity)

    # --- on disk --------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has changed; a full disk is said, and tried again the next time."""
        if not self._dirty:
            return
        rows: list[tuple[str, bytes | None]] = [(key, self._row(key)) for key in sorted(self._dirty)]
        try:
            with transaction(self._connection):
                self._connection.executemany(
                    "INSERT OR REPLACE INTO kept VALUES (?, ?)", [row for row in rows if row[1] is not None]
                )
                self._connection.executemany(
                    "DELETE FROM kept WHERE key = ?", [(key,) for key, value in rows if value is None]
                )
        except sqlite3.Error as error:
            logger.error("the verdicts on real servers cannot be kept: %s; is the disk full?", error)  # noqa: TRY400
        else:
            self._dirty.clear()

    def _row(self, key: str) -> bytes | None:
        held = self.held.get(key.removeprefix(_DESTINATION)) if key.startswith(_DESTINATION) else None
        pool = self.pools.get(key.removeprefix(_POOL)) if key.startswith(_POOL) else None
        kept = held or pool
        return None if kept is None else pack([_VERSION, msgspec.to_builtins(kept)])

    def _load(self) -> None:
        row = self._connection.execute("SELECT value FROM kept WHERE key = ?", (_BOOT,)).fetchone()
        if row is None or bytes(row[0]) != self._boot.encode():
            return
        self.held = dict(self._rows(_DESTINATION, Held))
        self.pools = dict(self._rows(_POOL, Pool))

    def begin(self) -> None:
        """Make the disk this boot's: forget what is there of an earlier one."""
        row = self._connection.execute("SELECT value FROM kept WHERE key = ?", (_BOOT,)).fetchone()
        if row is not None and bytes(row[0]) == self._boot.encode():
            return
        try:
            with transaction(self._connection):
                for prefix in (_DESTINATION, _POOL):
                    self._connection.execute("DELETE FROM kept WHERE key GLOB ?", (f"{prefix}*",))
                self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (_BOOT, self._boot.encode()))
        except sqlite3.Error as error:
            logger.error("the verdicts on real servers cannot be kept: %s; is the disk full?", error)  # noqa: TRY400

    def _rows(self, prefix: str, kind: type[T]) -> Iterable[tuple[str, T]]:
        """A row that cannot be read is dropped: what it was about has to prove itself."""
        found = self._connection.execute("SELECT key, value FROM kept WHERE key GLOB ?", (f"{prefix}*",)).fetchall()
        for key, value in found:
            try:
                version, kept = unpack(value)
                if version != _VERSION:
                    raise ValueError(f"its version is {version!r}")  # noqa: TRY301 - the row is at fault
                yield key.removeprefix(prefix), msgspec.convert(kept, kind)
            except (Refused, ValueError, TypeError) as error:
                logger.warning("what was kept as %r is dropped: %s", key, error)
                self._dirty.add(key)


def boot_id() -> str:
    """Name this boot of the kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
