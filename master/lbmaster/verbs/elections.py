"""What is seen of the elections of a cluster: who holds what, who could take over, and waiting until it is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from lbmaster.control import Conversation
from lbmaster.errors import RequestError
from lbmaster.fitness import Candidate, candidate, choose, ranking
from lbmaster.in_force import InForce
from lbmaster.view import Minion
from lbstates.desired import DirectorState

from .parts import Parts

POLL_SECONDS: Final = 0.05
PATIENCE: Final = 5.0
TELL_SECONDS: Final = 5.0
ADVERTS: Final = 4
"""A director that preempts waits for three advertisements of the one before it, and a bit."""


class Elections:
    """Looks, and changes nothing."""

    def __init__(self, parts: Parts, in_force: InForce) -> None:
        self._parts, self._in_force = parts, in_force

    def check_takers(self, cluster: str, director: str, held: Iterable[str]) -> None:
        """Refuse (`RequestError`) where something that a director holds would have nobody who is fit."""
        state = self.state(cluster)
        released = self._in_force.released(cluster)
        away = self._in_force.interventions(cluster).away
        holding = self.candidate(cluster, director, away)
        for instance in held:
            others = [self.candidate(cluster, name, away) for name in ranking(state, instance)]
            chosen, why = choose(others, holding, (instance,), released)
            if chosen is None:
                told = "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in why.items())
                raise RequestError(
                    "unfit",
                    f"nobody is fit to take {instance} over from {director}: {told or 'there is no other director'}; "
                    "--force does it all the same",
                )

    def state(self, cluster: str) -> DirectorState:
        """Return what the directors were told. Raises `RequestError`."""
        state = self._parts.clusters.directors(cluster)
        if state is None:
            raise RequestError(
                "unknown_cluster", f"what the directors of {cluster} were told cannot be read; push again"
            )
        return state

    def candidate(self, cluster: str, name: str, away: frozenset[str]) -> Candidate:
        """Put together what is known of a director; `away` are those that operators want to hold nothing."""
        return candidate(name, cluster, self._parts.view.minions.get(name, Minion()), away)

    def masters(self, cluster: str, instances: Iterable[str]) -> set[str]:
        """Name who holds any of them; "" where nobody does."""
        masters = self._parts.view.masters(self._parts.clusters.current(cluster))
        return {host for instance in instances for host in masters.get(instance, ("",)) or ("",)}

    def holder(self, cluster: str, instance: str) -> str | None:
        """Name the one that holds an instance; None for nobody, and for several."""
        masters = self.masters(cluster, (instance,)) - {""}
        return masters.pop() if len(masters) == 1 else None

    def held(self, cluster: str, director: str) -> tuple[str, ...]:
        """Name the instances that a host is master of."""
        masters = self._parts.view.masters(self._parts.clusters.current(cluster))
        return tuple(instance for instance, hosts in masters.items() if director in hosts)

    async def until(
        self,
        state: DirectorState,
        instances: Iterable[str],
        reached: Callable[[], bool],
        conversation: Conversation,
    ) -> bool:
        """Wait as long as a takeover of these instances may take; whoever watches is told that it goes on."""
        intervals = [it.advert_interval for it in state.instances if it.name in instances]
        deadline = self._parts.now() + PATIENCE + ADVERTS * max(intervals, default=1.0)
        tell = self._parts.now() + TELL_SECONDS
        while not reached() and (now := self._parts.now()) < deadline:
            if now > tell:
                conversation.note({"phase": "moving"})
                tell = now + TELL_SECONDS
            await asyncio.sleep(POLL_SECONDS)
        return reached()
