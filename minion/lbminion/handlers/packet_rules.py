"""Rules for single packets, in our own nftables table: firewall marks, and clamps of segment sizes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Final

import msgspec

from lbminion.errors import ChangeError, HostError
from lbminion.netlink.nftables import Generations
from lbminion.nft_rules import FAMILY, TABLE, BadRule, Reading, Rule, bare, spelled, transaction
from lbminion.nftables import Nft, NoNft
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.kind import Resource
from lbstates.kinds.mark import Mark
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted

logger = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS: Final = 60.0
_PATIENCE: Final = 0.05
"""Seconds that the event loop waits for nft."""
_OVERRULED: Final = ", in a table that somebody changed"


class OverruledMark(Mark, frozen=True, tag="mark"):
    """A mark in a table that holds more than ours: what it does to a packet is not known."""

    def describe(self) -> str:
        return super().describe() + _OVERRULED


class OverruledClamp(Clamp, frozen=True, tag="clamp"):
    """A clamp in a table that holds more than ours."""

    def describe(self) -> str:
        return super().describe() + _OVERRULED


class PacketRules:
    """The table is ours by its name: what else is found in it is removed, and said."""

    kinds = ("clamp", "mark")

    def __init__(self, nft: Nft | None = None) -> None:
        self._nft = nft or Nft()
        self._generations = Generations()
        self._newest: tuple[bytes, Reading] | None = None
        self._ours: frozenset[tuple[str, ...]] = frozenset()
        self._oddities: tuple[str, ...] = ()
        self._obstacle: str | None = None
        self._tried = 0.0
        self._thread = ThreadPoolExecutor(1, "nft")
        self._reading: Future[None] | None = None

    async def obstacle(self) -> str:
        """Say why there can be no such rules on this host ("": there can).

        Tried in the kernel, some milliseconds; a host that can stays able, and one that cannot is tried once a minute.
        """
        now = time.monotonic()
        if self._obstacle is None or (self._obstacle and now - self._tried > _TRY_AGAIN_SECONDS):
            self._obstacle, self._tried = await asyncio.to_thread(self._nft.obstacle), now
        return self._obstacle

    async def observe(self, wanted: Wanted) -> Observed:
        self._ours = frozenset(_names(wanted))
        if not self._ours:
            return {"mark": {}, "clamp": {}}
        await asyncio.wrap_future(self._thread.submit(self._look))
        return self._sorted_out(wanted)

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """One question to the kernel as long as nobody changes any rule of this host, else nft is asked (some ms).

        An nft that takes longer, because somebody loads a large ruleset, is heard out by a later call.
        """
        if not _names(wanted):
            return False
        # While the thread looks, the socket is its own.
        stale = self._reading is not None or self._newest is None or self._newest[0] != self._generations.read()
        if stale and not self._has_looked():
            return False
        return any(found != observed.get(kind, {}) for kind, found in self._sorted_out(wanted).items())

    def _has_looked(self) -> bool:
        """Look in another thread, and wait for it a moment. Raises `HostError`."""
        reading = self._reading = self._reading or self._thread.submit(self._look)
        try:
            reading.result(_PATIENCE)
        except TimeoutError:
            return False
        finally:
            if reading.done():
                self._reading = None
        return True

    def _look(self) -> None:
        # Before reading: what changes meanwhile is noticed by the next comparison.
        generation = self._generations.read()
        try:
            self._newest = generation, self._nft.read()
        except NoNft:  # a host without the program has no such rules; adding one then says what is missing
            self._newest = generation, Reading((), ())

    def _sorted_out(self, wanted: Wanted) -> Observed:
        found, oddities = sorted_out(Reading((), ()) if self._newest is None else self._newest[1], wanted)
        self._say(oddities)
        return found

    def _say(self, oddities: tuple[str, ...]) -> None:
        """Say it once, not at every look."""
        if oddities and oddities != self._oddities:
            logger.warning("the nftables table %s %s is not as we wrote it: %s", FAMILY, TABLE, "; ".join(oddities))
        self._oddities = oddities

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        """All or none: the table is replaced in one transaction."""
        for change in changes:
            try:
                transaction([change.after] if isinstance(change.after, Mark | Clamp) else [])
            except BadRule as error:
                return [ChangeError(change.kind, change.identity, str(error))]
        try:
            await asyncio.to_thread(self._replace, changes)
        except HostError as error:
            return [ChangeError(change.kind, change.identity, str(error)) for change in changes[:1]]
        return []

    def _replace(self, changes: Sequence[Change]) -> None:
        rules = {key: rule for rule in self._nft.read().rules if (key := _key(rule)) in self._ours}
        for change in changes:
            if isinstance(change.before, Mark | Clamp):
                rules.pop(_key(change.before), None)
            if isinstance(change.after, Mark | Clamp):
                rules[_key(change.after)] = change.after
        self._nft.replace([rules[key] for key in sorted(rules)])

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._generations.close()


def sorted_out(reading: Reading, wanted: Wanted) -> tuple[Observed, tuple[str, ...]]:
    """Tell our rules, by kind and identity, from whatever else is in the table.

    nft joins ports that are neighbours: a rule that takes the same packets as a wanted one is that one.
    """
    names = _names(wanted)
    found: dict[str, dict[str, Resource]] = {kind: {} for kind in PacketRules.kinds}
    oddities = list(reading.oddities)
    for rule in reading.rules:
        kind, name = names.get(_key(rule), ("", ""))
        if not name or name in found[kind]:
            oddities.append(f"a rule for {rule.identity}{' once more' if name else ''}")
        else:
            found[kind][name] = _named(rule, name)
    if oddities:
        found = {kind: {name: _overruled(rule) for name, rule in rules.items()} for kind, rules in found.items()}
    return dict(found), tuple(oddities)


def _names(wanted: Wanted) -> dict[tuple[str, ...], tuple[str, str]]:
    """Which packets -> kind and identity of the wanted rule that takes them."""
    return {key: (kind, name) for kind in PacketRules.kinds for name in wanted[kind] if (key := _key_of(kind, name))}


@lru_cache(maxsize=4096)
def _key(rule: Rule) -> tuple[str, ...]:
    """Tell which packets a rule takes, however that is spelled. Raises `BadRule`."""
    if isinstance(rule, Clamp):
        return (bare(rule.address),)
    return (rule.protocol, bare(rule.address), *spelled(rule.ports))


@lru_cache(maxsize=4096)
def _key_of(kind: str, identity: str) -> tuple[str, ...] | None:
    """Tell which packets the rule of this identity takes; None for what is no identity of one."""
    try:
        match kind, identity.split(" "):
            case "clamp", [address]:
                return (bare(address),)
            case "mark", [protocol, address, ports]:
                return (protocol, bare(address), *spelled(ports.split(",")))
    except BadRule:
        pass
    return None


def _named(rule: Rule, name: str) -> Rule:
    """Spell a rule as the one of this identity is spelled."""
    if isinstance(rule, Clamp):
        return msgspec.structs.replace(rule, address=name)
    _, address, ports = name.split(" ")
    return msgspec.structs.replace(rule, address=address, ports=tuple(ports.split(",")))


def _overruled(rule: Resource) -> Resource:
    if isinstance(rule, Mark):
        return OverruledMark(**msgspec.structs.asdict(rule))
    return OverruledClamp(**msgspec.structs.asdict(rule))
