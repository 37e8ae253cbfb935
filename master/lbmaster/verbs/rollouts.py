"""Verbs about rollouts: where one stands, what becomes of it, what there was before, and going back to it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lbmaster.control import Conversation, Verb
from lbmaster.differences import file_lines, intervention_lines, intervention_words, state_lines
from lbmaster.errors import RequestError
from lbmaster.history import folded
from lbmaster.records import Made
from lbmaster.report import rollout_status
from lbmaster.requests import Options, Request
from lbwire.conclusions import OperatorActed

from .parts import Answer, Arguments, Parts, Seconds, Text, read
from .pushing import origin, with_timeout

Generation = Annotated[int, Meta(ge=1, le=2**53)]


class _Cluster(Arguments, frozen=True):
    cluster: str | None = None


class _Act(Arguments, frozen=True):
    cluster: str | None = None
    by: Text = "somebody"
    reason: Text = ""
    keep: bool = False


class _History(Arguments, frozen=True):
    cluster: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 20


class _Diff(Arguments, frozen=True):
    older: Generation
    newer: Generation
    cluster: str | None = None


class _Rollback(Arguments, frozen=True):
    generation: Generation
    cluster: str | None = None
    by: Text = "somebody"
    reason: Text = ""
    timeout: Seconds | None = None
    options: Options = Options()


class RolloutVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.table: dict[str, Verb] = {
            "rollout.status": self._status,
            "rollout.pause": self._pause,
            "rollout.resume": self._resume,
            "rollout.abort": self._abort,
            "history": self._history,
            "diff": self._diff,
            "rollback": self._rollback,
        }

    async def _status(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        names = self._parts.names(read(arguments, _Cluster).cluster)
        running = self._parts.pushes.running
        return {"clusters": {name: rollout_status(running[name]) if name in running else None for name in names}}

    async def _pause(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        asked, cluster, generation = self._under_way(arguments)
        self._parts.pushes.pause(cluster)
        return self._acted("rollout pause", asked, cluster, generation, conversation)

    async def _resume(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        asked, cluster, generation = self._under_way(arguments)
        self._parts.pushes.go_on(cluster, asked.by)
        return self._acted("rollout resume", asked, cluster, generation, conversation)

    async def _abort(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        asked, cluster, generation = self._under_way(arguments)
        stays = self._parts.pushes.abort(cluster, keep=asked.keep)
        acted = self._acted("rollout abort", asked, cluster, generation, conversation)
        return {**acted, "stays": stays, "file_of": self._file_of(cluster, generation)}

    def _file_of(self, cluster: str, generation: int) -> int:
        """Tell whose file the next drain or the like would roll out: 0 if it is that of `generation`, or there is none."""
        released, records = self._parts.store.generations.clusters[cluster].released, self._parts.store.records
        return 0 if records.text(cluster, released) == records.text(cluster, generation) else released

    def _under_way(self, arguments: dict[str, Any]) -> tuple[_Act, str, int]:
        """Read the arguments, and find the one rollout that they mean: its cluster and generation."""
        asked = read(arguments, _Act)
        if asked.cluster is not None:
            self._parts.names(asked.cluster)
            return asked, asked.cluster, self._parts.pushes.generation_of(asked.cluster)
        names = sorted(self._parts.pushes.running)
        if len(names) != 1:
            several = f"several are: name one of {', '.join(names)}" if names else "nothing is being rolled out"
            raise RequestError("bad_request", several)
        return asked, names[0], self._parts.pushes.generation_of(names[0])

    def _acted(self, verb: str, asked: _Act, cluster: str, generation: int, conversation: Conversation) -> Answer:
        acted = OperatorActed(verb, asked.by, origin(conversation), f"generation {generation}", asked.reason)
        self._parts.master.report(acted, cluster)
        return {"cluster": cluster, "generation": generation}

    # --- what there was -------------------------------------------------------------------------------------------

    async def _history(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = read(arguments, _History)
        cluster = self._one(asked.cluster)
        known = self._parts.store.generations.clusters[cluster]
        rows = folded(self._parts.store.records.newest(cluster, asked.limit))
        return {
            "cluster": cluster,
            "released": known.released,
            "generations": [_row(made) for made in rows],
        }

    async def _diff(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = read(arguments, _Diff)
        cluster = self._one(asked.cluster)
        old, new = self._made(cluster, asked.older), self._made(cluster, asked.newer)
        records, pushes = self._parts.store.records, self._parts.pushes
        names = (f"generation {asked.older} ({old.file})", f"generation {asked.newer} ({new.file})")
        texts = records.text(cluster, asked.older), records.text(cluster, asked.newer)
        return {
            "cluster": cluster,
            "file": file_lines(*texts, names),
            "interventions": intervention_lines(old.interventions, new.interventions),
            "states": state_lines(pushes.states(cluster, asked.older), pushes.states(cluster, asked.newer)),
        }

    def _made(self, cluster: str, generation: int) -> Made:
        made = self._parts.store.records.made(cluster, generation)
        if made is None:
            raise RequestError(
                "unknown_generation",
                f"generation {generation} of {cluster} is not kept: see lbmaster history {cluster}",
            )
        return made

    def _one(self, cluster: str | None) -> str:
        """Name the cluster that is meant: the only one, if none is named."""
        names = self._parts.names(cluster)
        if len(names) != 1:
            listed = ", ".join(names) or "none yet"
            raise RequestError("unknown_cluster", f"say which cluster: there are {listed}")
        return names[0]

    async def _rollback(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        asked = read(arguments, _Rollback)
        cluster = self._one(asked.cluster)
        options = with_timeout(asked.options, asked.timeout)
        request = Request("rollback", asked.by, origin(conversation), asked.reason, options)
        return await self._parts.pushes.rollback(cluster, asked.generation, request, conversation.note)


def _row(made: Made) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(made)
    return {**plain, "interventions": intervention_words(made.interventions)}
