"""Puts health together on a director: probes what is in force, judges, decides, and has weights changed.

Probing is for `watches`, what a verdict is and what follows from it for `lbstates.health` and `lbstates.pools`; what is
held and kept for `verdicts`. Here is what happens when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lbminion.netlink.ipvs_table import Statistics
from lbstates.balancing import VirtualService
from lbstates.desired import RoleState
from lbstates.facts import HostFacts
from lbstates.health import Outcome as Judgement
from lbstates.plan import Resources
from lbstates.pools import PoolDecision
from lbwire import events, health_events
from lbwire.messages import Health

from . import news, targets
from .listening import Listening
from .outcome import Outcome
from .probes import Ask
from .suspicion import Suspicions
from .targets import Watched
from .verdicts import Pool, Verdicts
from .watches import Probe, Watches, make_room

_DAY: Final = 86400.0
_MOST_FAILING: Final = 1000
"""So many are named in a sample, which goes out every second."""
_MOST_REASON: Final = 100
_NEW_POOL: Final = Pool()
_FRESH: Final = 0.2
"""Seconds for which it is believed that a destination which leads probes is there: many may fail at once."""


class Engine:
    """For the host of `verdicts`. `report` raises an event, `look` has the host compared because weights have changed."""

    def __init__(
        self,
        host: str,
        verdicts: Verdicts,
        ask: Ask,
        report: Callable[[events.Data, str], object],
        look: Callable[[], None],
    ) -> None:
        self._host, self._verdicts, self._report, self._look = host, verdicts, report, look
        self._watches = Watches(ask, self._heard, self._unable)
        self._unasked: dict[Probe, int] = {}
        self._suspicions = Suspicions()
        self._listening = Listening(host, report)
        self._watched: dict[str, Watched] = {}
        self._services: dict[str, VirtualService] = {}
        self._clusters: dict[str, str] = {}
        self._decisions: dict[str, PoolDecision] = {}
        self._same: dict[Probe, list[str]] = {}
        self._open: frozenset[str] = frozenset()
        self._sure_until = 0.0
        self._steps: dict[str, asyncio.TimerHandle] = {}
        self._from: tuple[tuple[RoleState, ...], HostFacts] | None = None
        verdicts.begin()

    async def run(self) -> None:
        """Look after what this host answers itself, as a real server, until cancelled. Probes run by themselves."""
        make_room()
        await self._listening.run()

    # --- what is watched ------------------------------------------------------------------------------------------

    def weights(self, states: Iterable[RoleState], facts: HostFacts) -> Mapping[str, int]:
        """Weigh states that are only planned."""
        return self._verdicts.weights(states, facts)

    def follow(self, states: Iterable[RoleState], facts: HostFacts) -> Mapping[str, int]:
        """Watch what is in force, and weigh it."""
        states = tuple(states)
        if self._from is None or not _same(self._from[0], states) or self._from[1] != facts:
            self._watch(states, facts)
            self._listening.follow(states)
            self._from = (states, facts)
        return {
            identity: weight for decision in self._decisions.values() for identity, weight in decision.weights.items()
        }

    def _watch(self, states: tuple[RoleState, ...], facts: HostFacts) -> None:
        watched = targets.watched(states, self._host, facts)
        services = {service.identity: service for service in targets.services(states, self._host)}
        # First of all, since it may be that the kernel's table cannot be read: then everything stays as it was.
        self._verdicts.keep({identity: it.probe.check for identity, it in watched.items()}, services.values())
        self._watched, self._services, self._same, self._unasked = watched, services, {}, {}
        for identity, it in watched.items():
            self._same.setdefault(it.probe, []).append(identity)
        self._clusters = {
            service.identity: state.cluster
            for state in targets.directed(states, self._host)
            for service in state.services
        }
        for gone in self._decisions.keys() - self._services.keys():
            del self._decisions[gone]
        for gone in self._steps.keys() - self._services.keys():
            self._steps.pop(gone).cancel()
        for service in self._services.values():
            self._decide(service)
        self._probe()

    def seen(self, observed: Resources) -> None:
        """The kernel's table is this: what is led to real servers by IPVS is probed only where it is led there.

        Without its entry a probe would go to whoever holds the VIP, and be answered by some real server.
        """
        present = frozenset(watched.gate for watched in self._watched.values()) & observed["destination"].keys()
        if present != self._open:
            self._open = present
            self._probe()

    def _probe(self) -> None:
        self._watches.follow(it.probe for it in self._watched.values() if not it.gate or it.gate in self._open)

    # --- what happens ---------------------------------------------------------------------------------------------

    def _heard(self, probe: Probe, outcome: Outcome, _: float) -> None:
        self._unasked.pop(probe, None)
        same = self._same.get(probe, ())
        if probe.target.mark and any(self._is_news(it, outcome) for it in same) and self._led_astray(same):
            return
        self._judge(same, outcome)

    def _is_news(self, identity: str, outcome: Outcome) -> bool:
        state = self._verdicts.held[identity].verdict.state
        return state == "unproven" or (state == "up") != outcome.passed

    def _led_astray(self, identities: Iterable[str]) -> bool:
        """Whether what leads these probes was taken away: somebody emptied the table, and the next look is to come."""
        now = self._verdicts.clock()
        if now >= self._sure_until:
            if gone := self._verdicts.taken_away(self._open):
                self._open -= gone
                self._probe()
                self._look()
            self._sure_until = now + _FRESH
        return not any(self._watched[it].gate in self._open for it in identities)

    def _unable(self, probe: Probe, why: str) -> None:
        """This host cannot ask: whoever has a verdict keeps it; those without one may not wait for it for ever.

        They count as failing then, so that the share of a pool that nobody takes out holds for them, and it is told.
        """
        self._unasked[probe] = times = self._unasked.get(probe, 0) + 1
        if times >= probe.check.fall:
            same = self._same.get(probe, ())
            new = [it for it in same if self._verdicts.held[it].verdict.state == "unproven"]
            self._judge(new, Outcome(False, f"it cannot be asked from here: {why}"))

    def _judge(self, identities: Iterable[str], outcome: Outcome) -> None:
        judgement = Judgement(outcome.passed, outcome.reason)
        for identity in identities:
            before = self._verdicts.held[identity].verdict
            happenings = self._verdicts.judge(identity, judgement)
            after = self._verdicts.held[identity].verdict
            watched = self._watched[identity]
            for event in news.of_destination(watched, before, happenings):
                self._say(watched.service, event)
            if outcome.days is not None:
                self._warn(identity, watched, outcome.days)
            if (after.state, after.proven) != (before.state, before.proven):
                self._reconsider(watched.service, outcome.reason)

    def _warn(self, identity: str, watched: Watched, days: float) -> None:
        now, warned = time.time(), self._verdicts.held[identity].warned
        if warned is None or not 0 <= now - warned < _DAY:
            self._verdicts.warned(identity, now)
            where = watched.service.identity, news.address_of(watched.destination), watched.real_server
            self._say(watched.service, health_events.CertificateExpiring(*where, days))

    def _reconsider(self, service: VirtualService, reason: str = "") -> None:
        before = self._decisions.get(service.identity)
        if before is None or self._decide(service, reason).weights != before.weights:
            self._look()

    def _decide(self, service: VirtualService, reason: str = "") -> PoolDecision:
        decision = self._decisions[service.identity] = self._verdicts.decide(service)
        before = self._verdicts.pools.get(service.identity, _NEW_POOL)
        pool, happened = news.of_pool(service, before, decision, self._verdicts.clock(), reason)
        self._verdicts.decided(service.identity, pool)
        for event in happened:
            self._say(service, event)
        if (step := self._steps.pop(service.identity, None)) is not None:
            step.cancel()
        if decision.changes_at is not None:
            after = max(0.0, decision.changes_at - self._verdicts.clock())
            self._steps[service.identity] = asyncio.get_running_loop().call_later(after, self._step, service)
        return decision

    def _step(self, service: VirtualService) -> None:
        self._steps.pop(service.identity, None)
        self._reconsider(service)

    def counted(self, statistics: Statistics) -> None:
        """IPVS has counted so much: probe at once whoever seems not to answer clients."""
        tcp = (identity for identity, watched in self._watched.items() if watched.service.protocol == "tcp")
        signs, fresh = self._suspicions.read(tcp, statistics.destinations)
        for sign in signs:
            if self._verdicts.held[sign.identity].verdict.state == "up":
                self._watches.hurry(self._watched[sign.identity].probe)
        for identity, connections in fresh:
            watched = self._watched[identity]
            where = watched.service.identity, news.address_of(watched.destination), watched.real_server
            self._say(watched.service, health_events.DestinationSuspected(*where, connections))

    def _say(self, service: VirtualService, event: events.Data) -> None:
        self._report(event, self._clusters.get(service.identity, ""))

    # --- what is told and kept ------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Tell what is not well."""
        decisions = self._decisions.items()
        failing = [identity for _, decision in decisions for identity in decision.failing][:_MOST_FAILING]
        return Health(
            failing={identity: self._verdicts.held[identity].verdict.reason[:_MOST_REASON] for identity in failing},
            unproven=tuple(it for _, decision in decisions for it in decision.unproven)[:_MOST_FAILING],
            frozen=tuple(service for service, decision in decisions if decision.frozen),
            sorry=tuple(service for service, decision in decisions if decision.sorry),
            suspected=self._suspicions.suspected[:_MOST_FAILING],
            silent=self._listening.silent,
        )

    def flush(self) -> None:
        """Keep what has changed."""
        self._verdicts.flush()

    def close(self) -> None:
        """Probe nothing any more; what was found is kept."""
        for step in self._steps.values():
            step.cancel()
        self._watches.close()
        self._verdicts.flush()


def _same(before: tuple[RoleState, ...], now: tuple[RoleState, ...]) -> bool:
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
