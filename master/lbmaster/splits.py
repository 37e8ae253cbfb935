"""More than one MASTER for one VRRP instance: when it is a split brain, and when it is over. Pure.

In a handover two directors say MASTER for a moment, because one message is faster than the other; so a split brain is
one that lasts longer than the grace. And a director that lost its power cannot take back what it said: each of them has
to be heard of again after the second one came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lbwire.conclusions import SplitBrain, SplitBrainEnded

Key = tuple[str, str]
"""(cluster, VRRP instance)."""


class Splits:
    """Give it who is MASTER, as often as you like; it returns what is to be reported. `grace` in seconds.

    `heard` tells when a host was last heard of, by the clock of `look`.
    """

    def __init__(self, grace: float, heard: Callable[[str], float]) -> None:
        self._grace = grace
        self._heard = heard
        self._since: dict[Key, float] = {}
        self._reported: dict[Key, float] = {}

    def look(
        self, masters: Mapping[Key, tuple[str, ...]], now: float
    ) -> list[tuple[str, SplitBrain | SplitBrainEnded]]:
        """Compare with before; returns (cluster, data of the event) for what began or ended."""
        found: list[tuple[str, SplitBrain | SplitBrainEnded]] = []
        for key in {*masters, *self._since}:
            hosts = masters.get(key, ())
            if len(hosts) > 1:
                since = self._since.setdefault(key, now)
                lasts = now - since >= self._grace and all(self._heard(host) > since for host in hosts)
                if lasts and key not in self._reported:
                    self._reported[key] = now
                    found.append((key[0], SplitBrain(key[1], hosts)))
            elif self._since.pop(key, None) is not None and key in self._reported:
                seconds = round(now - self._reported.pop(key), 3)
                found.append((key[0], SplitBrainEnded(key[1], hosts, seconds)))
        return found
