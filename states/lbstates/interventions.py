"""What operators have decided about a cluster beside its file: drains, maintenance, and who shall hold a VIP.

They are kept by the master, are part of every generation that is compiled from then on, and end only when somebody says
so. What they change in a desired state is decided by `compile`.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from .typed import Name, Part, PortOrAll


class _Decision(Part, frozen=True, kw_only=True):
    """Who decided it, why ("": nothing was said), and when (Unix time)."""

    by: str = ""
    reason: str = ""
    since: float = 0.0


class Drain(_Decision, frozen=True, kw_only=True):
    """A real server takes no new connections: in every service, or only in those of `vip`, or of its `port`.

    `deadline`: seconds after `since` by which its connections are expected to have ended (0: no such wish).
    """

    host: Name
    vip: Name | None = None
    port: PortOrAll | None = None
    deadline: float = 0.0


class Maintenance(_Decision, frozen=True, kw_only=True):
    """Somebody works on a host: it is drained and evacuated, and may be away without holding up a push."""

    host: Name


class Switchover(_Decision, frozen=True, kw_only=True):
    """A VRRP instance (and those of its sync group) shall be held by `director` as long as that one is fit."""

    instance: Name
    director: Name


class Evacuation(_Decision, frozen=True, kw_only=True):
    """A director shall hold no VIP as long as another one can."""

    director: Name


class Interventions(Part, frozen=True):
    """All that is in force for one cluster."""

    drains: tuple[Drain, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    switchovers: tuple[Switchover, ...] = ()
    evacuations: tuple[Evacuation, ...] = ()

    @property
    def away(self) -> frozenset[str]:
        """The directors that shall hold no VIP."""
        return frozenset((*(it.director for it in self.evacuations), *(it.host for it in self.maintenance)))

    def preferred(self, instances: Collection[str]) -> str | None:
        """The director that shall hold these VRRP instances, which have one master; what was decided last counts."""
        chosen = [it.director for it in self.switchovers if it.instance in instances]
        return chosen[-1] if chosen else None

    def drained(self, host: str, vip: str | None, ports: Collection[int]) -> bool:
        """Whether a real server takes no new connections in the service at these ports (0: all) of the VIP so named."""
        return any(it.host == host for it in self.maintenance) or any(
            it.host == host and it.vip in (None, vip) and (it.port is None or it.port in ports) for it in self.drains
        )

    def encode(self) -> bytes:
        """Write them as JSON, as `decode` reads it."""
        return msgspec.json.encode(self)


NONE = Interventions()


def decode(raw: bytes) -> Interventions:
    """Read what `encode` wrote; raises `msgspec.ValidationError` (a `ValueError`) for anything else."""
    return msgspec.json.decode(raw, type=Interventions)
