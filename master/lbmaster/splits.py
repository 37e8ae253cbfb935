"""More than one MASTER for one VRRP instance: when it is a split brain, when it is over, and who is left. Pure.

In a handover two directors say MASTER for a moment, because one message is faster than the other; so a split brain is
one that lasts longer than the grace. And a director that lost its power cannot take back what it said: each of them has
to be heard of again after the second one came.

Each MASTER tells its neighbours that the VIP is there. The one that yields may have told them last, and keepalived has the
other one repeat it only if it hears an advertisement of the one that yields: not if the way heals in one direction first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from lbwire.conclusions import SplitBrain, SplitBrainEnded

Key = tuple[str, str]
"""(cluster, VRRP instance)."""


class Yielded(msgspec.Struct, frozen=True):
    """All but `host` have yielded an instance, and neighbours may still believe another one; nothing for the journal."""

    instance: str
    host: str


Finding: TypeAlias = SplitBrain | SplitBrainEnded | Yielded


class Splits:
    """Give it who is MASTER, as often as you like; it returns what is to be reported. `grace` in seconds.

    `heard` tells when a host was last heard of, by the clock of `look`.
    """

    def __init__(self, grace: float, heard: Callable[[str], float]) -> None:
        self._grace = grace
        self._heard = heard
        self._since: dict[Key, float] = {}
        self._reported: dict[Key, float] = {}
        self._alone: dict[Key, str] = {}

    def look(self, masters: Mapping[Key, tuple[str, ...]], now: float) -> list[tuple[str, Finding]]:
        """Compare with before; returns (cluster, finding) for what began or ended."""
        found: list[tuple[str, Finding]] = []
        for key in {*masters, *self._since}:
            hosts = masters.get(key, ())
            if len(hosts) > 1:
                since = self._since.setdefault(key, now)
                lasts = now - since >= self._grace and all(self._heard(host) > since for host in hosts)
                if lasts and key not in self._reported:
                    self._reported[key] = now
                    found.append((key[0], SplitBrain(key[1], hosts)))
            elif self._since.pop(key, None) is not None:
                reported = self._reported.pop(key, None)
                if reported is not None:
                    found.append((key[0], SplitBrainEnded(key[1], hosts, round(now - reported, 3))))
                # In a handover the one that came last is left, and has just told everybody so.
                if hosts and (reported is not None or self._alone.get(key) == hosts[0]):
                    found.append((key[0], Yielded(key[1], hosts[0])))
        self._remember(masters)
        return found

    def _remember(self, masters: Mapping[Key, tuple[str, ...]]) -> None:
        """Keep who was MASTER alone, also while there are two."""
        before, self._alone = self._alone, {}
        for key, hosts in masters.items():
            alone = hosts[0] if len(hosts) == 1 else before.get(key, "")
            if hosts and alone:
                self._alone[key] = alone
