"""Verbs by which operators decide who holds a VIP: switchover and evacuate.

Each waits until the VIPs have moved, within bounds. A switchover that does not come about is taken back.
"""

from __future__ import annotations

import asyncio
from typing import Any

from lbmaster import interventions as decide
from lbmaster.control import Conversation, Verb
from lbmaster.errors import RequestError
from lbmaster.fitness import choose, ranking, unfit
from lbstates.clusterfile import Cluster
from lbstates.desired import DirectorState

from .elections import Elections
from .interventions import Asked, Deciding, Operator
from .parts import Answer, Parts, read


class _Switchover(Deciding, frozen=True, kw_only=True):
    """`to` None: the next in rank that is fit. `back`: what was decided before ends."""

    vip: str
    to: str | None = None
    back: bool = False


class _Evacuate(Deciding, frozen=True, kw_only=True):
    """`end`: it may hold VIPs again."""

    director: str
    end: bool = False


class SwitchingVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._operator = Operator(parts)
        self._elections = Elections(parts, self._operator.in_force)
        self._going: set[asyncio.Task[Answer]] = set()
        self.table: dict[str, Verb] = {"switchover": self._switchover, "evacuate": self._evacuate}

    # --- switchover -----------------------------------------------------------------------------------------------

    async def _switchover(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        # Also when nobody watches any more: what does not come about has to be taken back.
        going = asyncio.create_task(self._switch(read(arguments, _Switchover), conversation))
        self._going.add(going)
        going.add_done_callback(self._going.discard)
        return await asyncio.shield(going)

    async def _switch(self, given: _Switchover, conversation: Conversation) -> Answer:
        file = await self._operator.file_with(given.cluster, f"a VIP {given.vip}", lambda file: _has(file, given.vip))
        instances = decide.instances_with(file, decide.vip_named(file, given.vip))
        if given.back:
            return await self._switch_back(file, instances, given, conversation)
        state = self._elections.state(file.cluster)
        holder = self._elections.holder(file.cluster, instances[0])
        target = self._target(file, instances, state, holder, given)
        decision, before = given.decision, self._operator.in_force.interventions(file.cluster)
        started = self._parts.now()
        asked = Asked(
            file.cluster,
            "switchover",
            f"{instances[0]} to {target}",
            lambda now: decide.switch_over(now, instances, target, decision),
        )
        pushed = await self._operator.carry_out(asked, given, conversation)
        moved = pushed["outcome"] == "converged" and await self._elections.until(
            state, instances, lambda: self._elections.masters(file.cluster, instances) == {target}, conversation
        )
        answer = {**pushed, "from": holder, "to": target, "moved": moved, "took": round(self._parts.now() - started, 3)}
        if moved or pushed["outcome"] != "converged":
            return answer
        now_held = ", ".join(sorted(self._elections.masters(file.cluster, instances))) or "nobody"
        conversation.note({"phase": "taking back", "error": f"{instances[0]} is held by {now_held}"})
        taken_back = Asked(
            file.cluster,
            "switchover",
            f"{instances[0]}: taken back",
            lambda now: decide.switch_as_before(now, instances, target, decision, before),
        )
        back = overtaken = False
        try:
            back = (await self._operator.carry_out(taken_back, given, conversation))["outcome"] == "converged"
        except RequestError as error:
            # Somebody was quicker, with a push or a decision of his own; that the VIP has not moved has to be told all
            # the same.
            conversation.note({"phase": "taking back", "error": str(error)})
            overtaken = error.kind == "overtaken"
        return {**answer, "outcome": "failed", "holds": now_held, "taken_back": back, "overtaken": overtaken}

    def _target(
        self,
        file: Cluster,
        instances: tuple[str, ...],
        state: DirectorState,
        holder: str | None,
        given: _Switchover,
    ) -> str:
        """Choose who takes over. Raises `RequestError` that names each reason why nobody can, or this one cannot."""
        released = self._operator.in_force.released(file.cluster)
        away = self._operator.in_force.interventions(file.cluster).away
        known = {name: self._elections.candidate(file.cluster, name, away) for name in ranking(state, instances[0])}
        holding = known.get(holder or "")
        if given.to is not None:
            target = decide.director_named(file, given.to)
            if target == holder:
                raise RequestError("already", f"{target} holds {instances[0]} already")
            reasons = () if given.force else unfit(known[target], holding, instances, released)
            if reasons:
                raise RequestError("unfit", f"{target} is not fit: {'; '.join(reasons)}; --force does it all the same")
            return target
        chosen, why = choose(tuple(known.values()), holding, instances, released)
        if chosen is None:
            told = (
                "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in why.items()) or "there is no other one"
            )
            raise RequestError("unfit", f"no director is fit to take {instances[0]} over: {told}")
        return chosen

    async def _switch_back(
        self, file: Cluster, instances: tuple[str, ...], given: _Switchover, conversation: Conversation
    ) -> Answer:
        holder, started = self._elections.holder(file.cluster, instances[0]), self._parts.now()
        asked = Asked(
            file.cluster, "switchover", f"{instances[0]} back", lambda now: decide.switch_back(now, instances)
        )
        pushed = await self._operator.carry_out(asked, given, conversation)
        state = self._elections.state(file.cluster)
        home = _first(state, instances[0])
        # A home that is away is no failure: the priorities of the file count again.
        there = home is not None and self._parts.view.is_there(home)
        moved = there and await self._elections.until(
            state, instances, lambda: self._elections.masters(file.cluster, instances) == {home}, conversation
        )
        took = round(self._parts.now() - started, 3)
        now_held = self._elections.holder(file.cluster, instances[0])
        return {**pushed, "from": holder, "to": now_held, "moved": moved, "took": took}

    # --- evacuate -------------------------------------------------------------------------------------------------

    async def _evacuate(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        given = read(arguments, _Evacuate)
        director, decision = given.director, given.decision
        what = f"a director {director}"
        file = await self._operator.file_with(given.cluster, what, lambda file: director in file.directors)
        decide.director_named(file, director)
        held = self._elections.held(file.cluster, director)
        if not given.end and not given.force:
            self._elections.check_takers(file.cluster, director, held)
        started = self._parts.now()
        asked = Asked(
            file.cluster,
            "evacuate",
            f"{director}, end" if given.end else director,
            lambda now: decide.come_back(now, director) if given.end else decide.evacuate(now, director, decision),
            needless=(director,),
        )
        pushed = await self._operator.carry_out(asked, given, conversation)
        if given.end or pushed["outcome"] != "converged":
            return {**pushed, "holds": self._elections.held(file.cluster, director), "moved": given.end}
        moved = await self._elections.until(
            self._elections.state(file.cluster),
            held,
            lambda: not self._elections.held(file.cluster, director),
            conversation,
        )
        took = round(self._parts.now() - started, 3)
        return {
            **pushed,
            "from": director,
            "holds": self._elections.held(file.cluster, director),
            "moved": moved,
            "took": took,
        }


def _has(file: Cluster, vip: str) -> bool:
    try:
        decide.vip_named(file, vip)
    except RequestError:
        return False
    return True


def _first(state: DirectorState, instance: str) -> str | None:
    found = next((it for it in state.instances if it.name == instance), None)
    return None if found is None else max(found.priorities, key=found.priority_of)
