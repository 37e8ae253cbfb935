"""Starting pushes, asking what a push would change, and resuming after a restart what was under way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import msgspec

from lbstates.clusterfile import Cluster, check
from lbstates.compile import compile_cluster
from lbstates.desired import RoleState
from lbstates.errors import StateError
from lbwire.errors import Refused
from lbwire.events import Data, PushFinished, PushStarted
from lbwire.messages import Holding, Planned

from .clusters import Clusters
from .dispatch import Dispatch
from .errors import RequestError
from .generations import Generations
from .keyring import Keyring
from .push import Note, Push
from .rollout import Rollout
from .signing import Signer
from .topology import Topology, topology
from .view import View
from .waves import plan_waves

logger = logging.getLogger(__name__)

RESUME_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.05


class Compiled(msgspec.Struct, frozen=True):
    """What a cluster file says. `warnings` are findings, as the control protocol has them."""

    cluster: str
    states: dict[str, RoleState]
    warnings: tuple[dict[str, Any], ...]


def read_text(text: str, file: str) -> tuple[Cluster, tuple[dict[str, Any], ...]]:
    """Check a cluster file and return it with its warnings; raises `RequestError` with all findings."""
    checked = check(text)
    findings = tuple(asdict(finding) for finding in checked.findings)
    if checked.cluster is None:
        raise RequestError("bad_file", f"{file} cannot be used", findings)
    return checked.cluster, findings


class Pushes:
    """`running` maps a cluster to its push; there is never more than one."""

    def __init__(
        self,
        generations: Generations,
        keyring: Keyring,
        clusters: Clusters,
        view: View,
        dispatch: Dispatch,
        signer: Signer,
        report: Callable[[Data, str], None],
        return_grace: float,
    ) -> None:
        self._generations, self._keyring, self._clusters = generations, keyring, clusters
        self._view, self._dispatch, self._signer, self._report = view, dispatch, signer, report
        self._loop = asyncio.get_running_loop()
        self._patience_ends = self._loop.time() + return_grace
        self.running: dict[str, Push] = {}
        self._trials: dict[tuple[str, int], dict[str, asyncio.Future[Planned]]] = {}

    # --- push -----------------------------------------------------------------------------------------------------

    async def push(self, text: str, file: str, by: str, seconds: float, note: Note) -> dict[str, Any]:
        """Make the file's hosts what it says; returns when all have converged, or it has failed.

        Raises `RequestError`; then no generation was used.
        """
        deadline = self._loop.time() + seconds
        compiled = await self._compile(text, file)
        self._check_free(compiled.cluster)
        wanted = topology(compiled.states)
        old = self._clusters.released(compiled.cluster)
        leaving = await self._gather(compiled.cluster, wanted, old)
        self._check_free(compiled.cluster)
        push = self._start(compiled, text, file, by, wanted, leaving, deadline)
        push.notes.append(note)
        try:
            push.begin()
            return await asyncio.shield(push.result)
        finally:
            push.notes.remove(note)

    async def _compile(self, text: str, file: str) -> Compiled:
        """Compile what was sent; homes, VRIDs and marks stay as they are in what was released last, where they can."""
        cluster, warnings = await asyncio.to_thread(read_text, text, file)
        before = self._clusters.directors(cluster.cluster)
        states = await asyncio.to_thread(compile_cluster, cluster, before)
        return Compiled(cluster.cluster, dict(states.items()), warnings)

    def _check_free(self, cluster: str) -> None:
        running = self.running.get(cluster)
        if running is not None:
            raise RequestError(
                "busy", f"generation {running.generation} of {cluster} is being pushed: wait for its end"
            )

    async def _gather(self, cluster: str, wanted: Topology, old: Topology) -> Topology:
        """Make sure that every host is there, and would obey; returns the part of `old` that is there to leave."""
        strangers = sorted(host for host in wanted.hosts if self._keyring.by_name(host) is None)
        if strangers:
            names = ", ".join(strangers)
            raise RequestError("never_joined", f"never joined: {names}; run `lbminion join` there, and accept the key")
        # Only in the first seconds after a start is there anything to wait for.
        while (  # noqa: ASYNC110 - many hosts, each of which may come and go
            absent := [h for h in wanted.hosts if not self._view.is_there(h)]
        ) and (self._loop.time() < self._patience_ends):
            await asyncio.sleep(POLL_SECONDS)
        if absent:
            raise RequestError(
                "absent", f"not there: {'; '.join(map(self._last_seen, sorted(absent)))}; start lbminion there"
            )
        self._check_numbers(cluster, wanted)
        return Topology(
            tuple(host for host in old.directors if host in wanted.hosts or self._view.is_there(host)),
            tuple(host for host in old.real_servers if host in wanted.hosts or self._view.is_there(host)),
        )

    def _check_numbers(self, cluster: str, wanted: Topology) -> None:
        """Hosts that hold a generation beyond ours would refuse everything: this master lost its database, or part of it."""
        known = self._generations.clusters.get(cluster)
        ours = known.generation if known else 0
        beyond = {host: staged for host in wanted.hosts if (staged := self._view.holding(host, cluster).staged) > ours}
        if beyond:
            held = ", ".join(f"{host} holds {staged}" for host, staged in sorted(beyond.items()))
            raise RequestError(
                "behind",
                f"this master knows {cluster} up to generation {ours}, but {held}: its database was lost or is an old "
                'backup; see "A lost database" in docs/operations.md',
            )

    def _last_seen(self, host: str) -> str:
        minion = self._view.minions.get(host)
        if minion is None or minion.seen is None:
            return f"{host} (not heard of since the master started)"
        return f"{host} (last heard of {self._loop.time() - minion.heard:.0f} s ago)"

    def _start(
        self, compiled: Compiled, text: str, file: str, by: str, wanted: Topology, leaving: Topology, deadline: float
    ) -> Push:
        cluster = compiled.cluster

        def seal(number: int) -> Mapping[str, bytes]:
            return {role: self._signer.state(cluster, role, number, s) for role, s in compiled.states.items()}

        generation = self._generations.begin(cluster, text, file, by, wanted.roles, seal)
        self._clusters.changed(cluster)
        push = self._make(cluster, generation, wanted, leaving, deadline)
        self._report(PushStarted(generation, tuple(sorted(push.hosts)), by), cluster)
        return push

    def _make(self, cluster: str, generation: int, wanted: Topology, old: Topology, deadline: float) -> Push:
        holders = {host for (of, _), host in self._generations.holders().items() if of == cluster}

        def report(data: PushFinished) -> None:
            del self.running[cluster]
            del self._clusters.under_way[cluster]
            self._report(data, cluster)

        rollout = Rollout(plan_waves(wanted, old, holders), deadline)
        changed = {*wanted.directors} - {*old.directors} | {*wanted.real_servers} - {*old.real_servers}
        push = Push(cluster, generation, rollout, self._dispatch, self._generations, self._view, report, changed)
        self.running[cluster] = push
        self._clusters.under_way[cluster] = generation
        return push

    def resume(self) -> None:
        """Go on with what was under way when the master was stopped: every host is asked to stage it once more."""
        for cluster, known in self._generations.clusters.items():
            if self._generations.status(cluster, known.generation) not in ("staged", "released"):
                continue
            try:
                wanted = self._clusters.at(cluster, known.generation)
                # What was in force when this push began, unless its last wave was released already.
                base = known.released if known.released < known.generation else known.generation - 1
                old = self._clusters.at(cluster, base)
            except (Refused, StateError):
                logger.exception("generation %d of %s in the store is damaged: push again", known.generation, cluster)
                continue
            there = {name for name, minion in self._view.minions.items() if minion.online}
            leaving = Topology(
                tuple(host for host in old.directors if host in {*wanted.hosts, *there}),
                tuple(host for host in old.real_servers if host in {*wanted.hosts, *there}),
            )
            logger.info("resuming the push of generation %d of %s", known.generation, cluster)
            self._make(cluster, known.generation, wanted, leaving, self._loop.time() + RESUME_SECONDS).begin()

    def stop(self) -> None:
        """The master stops."""
        for push in self.running.values():
            push.end()

    # --- plan -----------------------------------------------------------------------------------------------------

    async def plan(self, text: str, file: str, seconds: float) -> dict[str, Any]:
        """Ask every host what a push of this file would change. Nothing is. Raises `RequestError`."""
        compiled = await self._compile(text, file)
        cluster, wanted = compiled.cluster, topology(compiled.states)
        leaving = await self._gather(cluster, wanted, self._clusters.released(cluster))
        asked: dict[str, list[asyncio.Future[Planned]]] = {}
        commands = []
        for role, state in compiled.states.items():
            hosts = dict.fromkeys((*wanted.roles[role], *leaving.roles[role]))
            command = self._dispatch.trial(cluster, role, state, hosts)
            commands.append((cluster, command))
            answers = {host: self._loop.create_future() for host in hosts}
            self._trials[cluster, command] = answers
            for host, answer in answers.items():
                asked.setdefault(host, []).append(answer)
        try:
            futures = [future for several in asked.values() for future in several]
            if futures:
                await asyncio.wait(futures, timeout=seconds)
        finally:
            for key in commands:
                del self._trials[key]
        hosts_planned = {host: _planned(several) for host, several in sorted(asked.items())}
        return {"cluster": cluster, "hosts": hosts_planned, "findings": compiled.warnings}

    def planned(self, host: str, answer: Planned) -> None:
        """A host has answered a trial; what nobody waits for is skipped."""
        future = self._trials.get((answer.cluster, answer.command), {}).get(host)
        if future is not None and not future.done():
            future.set_result(answer)

    # --- hosts that come back -------------------------------------------------------------------------------------

    def heard(self, host: str, cluster: str, holding: Holding, *, hello: bool) -> bool:
        """Let the push that is under way make up for what a host missed; False if none concerns it."""
        push = self.running.get(cluster)
        if push is None or host not in push.hosts:
            return False
        push.heard(host, holding, hello=hello)
        return True


def _planned(answers: list[asyncio.Future[Planned]]) -> dict[str, Any]:
    if not all(future.done() for future in answers):
        return {"steps": (), "error": "no answer in time"}
    results = [future.result() for future in answers]
    return {
        "steps": tuple(step for result in results for step in result.steps),
        "error": "; ".join(result.error for result in results if result.error),
    }
