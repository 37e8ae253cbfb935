"""What changes a cluster: pushing a file, intervening, going back. Whether it may begin, and what becomes of it on its way.

Which generations that takes, and what follows what, is in `succession`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from lbstates.desired import RoleState
from lbstates.interventions import Interventions, Switchover
from lbwire.events import Data
from lbwire.messages import Holding, Planned

from .clusters import Clusters
from .config import Config
from .crossing import refuse_below_floor
from .dispatch import Dispatch
from .errand import Errand, Stays
from .errors import RequestError
from .keyring import Keyring
from .preparing import Content, Preparation, compiled
from .push import Means, Note, Push
from .requests import Kind, Options, Request
from .signing import Signer
from .store import Store
from .succession import Succession
from .topology import Topology, topology
from .trials import Trials
from .view import View
from .waves import first_moves

ALIVE_SECONDS: Final = 10.0

Change = Callable[[Interventions], Interventions]
"""May raise `RequestError`."""


def nobody(_: dict[str, Any]) -> None:
    """Take the notes of a rollout that nobody watches."""


async def _alive(result: asyncio.Future[dict[str, Any]], note: Note) -> None:
    """Wait for the end, which nobody who goes away may cancel; whoever watches hears now and then that we are there."""
    while not result.done():
        await asyncio.wait({result}, timeout=ALIVE_SECONDS)
        if not result.done():
            note({"phase": "alive"})


class Pushes:
    """`running` maps a cluster to its rollout; there is never more than one."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clusters: Clusters,
        view: View,
        dispatch: Dispatch,
        signer: Signer,
        report: Callable[[Data, str], None],
    ) -> None:
        self._generations, self._records = store.generations, store.records
        self._clusters, self._view = clusters, view
        means = Means(dispatch, store.generations, view, report)
        self._loop = asyncio.get_running_loop()
        keyring: Keyring = store.keyring
        self._preparation = Preparation(store.generations, keyring, clusters, view, config.return_grace)
        self.trials = Trials(dispatch)
        self._succession = Succession(config, store, clusters, view, signer, means, report)
        self.running: Mapping[str, Push] = self._succession.running

    # --- what is asked --------------------------------------------------------------------------------------------

    async def push(self, text: str, file: str, request: Request, note: Note = nobody) -> dict[str, Any]:
        """Make the file's hosts what it says; returns when all have converged, or it has failed.

        What operators have decided (drains, ...) stays in force. Raises `RequestError`; then no generation was used.
        """
        return await self._go(lambda: self._compiled(text, file, self._in_force()), request, note)

    async def change(
        self,
        cluster: str,
        change: Change,
        *,
        kind: Kind,
        by: str,
        origin: str,
        reason: str = "",
        options: Options = Options(),  # noqa: B008 - frozen
        note: Note = nobody,
    ) -> dict[str, Any]:
        """Roll out the released file once more, with other interventions; `change` makes them of those in force.

        Raises `RequestError`, also what `change` raises; then no generation was used.
        """

        def content() -> Awaitable[Content]:
            released = self._released(cluster)
            in_force = {cluster: change(self.interventions(cluster))}
            return self._compiled(*self._succession.file(cluster, released), in_force)

        return await self._go(content, Request(kind, by, origin, reason, options), note)

    async def rollback(self, cluster: str, generation: int, request: Request, note: Note = nobody) -> dict[str, Any]:
        """Roll out the file of an earlier generation; what operators have decided stays as it is now."""

        async def content() -> Content:
            self._released(cluster)
            again = await self._compiled(*self._succession.file(cluster, generation), self._in_force())
            if again.cluster != cluster:
                raise RequestError("bad_request", f"the file of generation {generation} is that of {again.cluster}")
            return msgspec.structs.replace(again, content_of=generation)

        return await self._go(content, request, note)

    async def plan(self, text: str, file: str, seconds: float, allowed: tuple[str, ...] = ()) -> dict[str, Any]:
        """Ask every host what a push of this file would change. Nothing is. Raises `RequestError`."""
        content = await self._compiled(text, file, self._in_force())
        wanted = topology(content.states)
        old = self._clusters.released(content.cluster)
        there = await self._preparation.gather(content.cluster, wanted, old, content.spared(allowed))
        hosts = await self.trials.ask(content, wanted.without(there.missing), there.leaving, seconds)
        return {
            "cluster": content.cluster, "hosts": hosts, "findings": content.warnings, "dropped": content.dropped,
            "missing": there.missing,
        }  # fmt: skip

    def interventions(self, cluster: str) -> Interventions:
        """Tell what operators have decided for a cluster, as its released generation has it."""
        known = self._generations.clusters.get(cluster)
        made = self._records.made(cluster, known.released) if known and known.released else None
        return made.interventions if made else Interventions()

    def in_maintenance(self, cluster: str, host: str) -> bool:
        """Tell whether somebody works on a host."""
        return any(it.host == host for it in self.interventions(cluster).maintenance)

    def _in_force(self) -> dict[str, Interventions]:
        return {cluster: self.interventions(cluster) for cluster in self._generations.clusters}

    def _released(self, cluster: str) -> int:
        known = self._generations.clusters.get(cluster)
        if known is None or not known.released:
            raise RequestError("unknown_cluster", f"nothing of {cluster} was pushed yet")
        return known.released

    async def _compiled(self, text: str, file: str, in_force: Mapping[str, Interventions]) -> Content:
        return await compiled(self._clusters, text, file, in_force, self._latest)

    def _latest(self, cluster: str) -> int:
        known = self._generations.clusters.get(cluster)
        return known.generation if known else 0

    # --- how it begins --------------------------------------------------------------------------------------------

    async def _go(self, make: Callable[[], Awaitable[Content]], request: Request, note: Note) -> dict[str, Any]:
        options = request.options
        while True:
            content = await make()
            cluster = content.cluster
            if await self._queued(cluster, request, note):
                continue
            wanted = topology(content.states)
            allowed = content.spared(options.allow_missing)
            there = await self._preparation.gather(cluster, wanted, self._clusters.released(cluster), allowed)
            first = await self._moved_first(content, wanted.without(there.missing)) if options.switch_first else None
            # Somebody may have been quicker; what was compiled is then the successor of something else.
            if cluster not in self._succession.errands and self._latest(cluster) == content.after:
                break
        old = self._succession.states(cluster, self._generations.clusters[cluster].released) if content.after else {}
        if not options.below_floor:
            refuse_below_floor(old, content.states, self._view)
        errand = Errand(
            cluster, request, self._loop.create_future(), self._loop.time(), there.missing, content.dropped,
            content.warnings, notes=[note],
        )  # fmt: skip
        self._succession.first(errand, content, old, there, first or (content, {}))
        try:
            await _alive(errand.result, note)
            return errand.result.result()
        finally:
            errand.notes.remove(note)

    async def _queued(self, cluster: str, request: Request, note: Note) -> bool:
        """Wait behind what is under way, if asked to; returns whether there was anything. Raises `RequestError`."""
        errand = self._succession.errands.get(cluster)
        if errand is None:
            return False
        running = self.running.get(cluster)
        generation = running.generation if running else errand.generation
        seconds = self._loop.time() - errand.started
        said = (
            f"generation {generation} of {cluster} is being rolled out ({errand.request.kind} by {errand.request.by}, "
            f"for {seconds:.0f} s)"
        )
        if not request.options.wait:
            ways = ["it waits for lbmaster rollout resume" if running and running.paused else "wait for its end"]
            # Other decisions are judged by what is seen now, and are not put off.
            ways += ["queue behind it with --wait"] if request.kind in ("push", "rollback") else []
            ways += ["end it with lbmaster rollout abort"] if running and not running.course.undoes else []
            raise RequestError("busy", f"{said}: {', or '.join(ways)}")
        note({"phase": "queued", "generation": generation, "error": "", "waiting": (said,)})
        await _alive(errand.result, note)
        return True

    async def _moved_first(self, content: Content, there: Topology) -> tuple[Content, dict[str, str]]:
        """Compile it once more, for the time in which VIPs are away from the directors that hold them now; and say where."""
        cluster, known = content.cluster, self._clusters.released(content.cluster).instances
        holders = self._succession.holders(cluster, known.keys() & there.instances.keys())
        fit = [host for host in there.directors if host not in content.interventions.away]
        moves = first_moves(fit, holders)
        switchovers = tuple(Switchover(instance=name, director=host) for name, host in sorted(moves.items()))
        decided = msgspec.structs.replace(
            content.interventions, switchovers=(*content.interventions.switchovers, *switchovers)
        )
        switched = await self._compiled(content.text, content.file, {cluster: decided})
        return switched, moves

    def states(self, cluster: str, generation: int) -> Mapping[str, RoleState]:
        """Read the states of a generation; none if they are damaged."""
        return self._succession.states(cluster, generation)

    def resume(self) -> None:
        """Go on with what was under way when the master was stopped, or go back, as it was decided then."""
        self._succession.resume()

    def stop(self) -> None:
        """The master stops."""
        self._succession.stop()

    # --- what operators do to a rollout ---------------------------------------------------------------------------

    def go_on(self, cluster: str, by: str) -> None:
        """Let a paused rollout go on. Raises `RequestError`."""
        push = self._under_way(cluster)
        wave = push.rollout.released
        if push.paused:
            self._succession.replan(push)
        if not push.resumed(by):
            raise RequestError("bad_request", f"generation {push.generation} of {cluster} does not wait for anybody")
        self._records.approve(cluster, push.generation, wave)

    def pause(self, cluster: str) -> None:
        """Have a rollout wait behind its present wave. Raises `RequestError`."""
        push = self._under_way(cluster)
        if push.present >= len(push.rollout.waves):
            raise RequestError(
                "bad_request",
                f"nothing waits behind the last wave of generation {push.generation}, and that is the present one: "
                "lbmaster rollout abort ends it",
            )
        push.pause()
        self._records.set_course(cluster, push.generation, push.course.encode())

    def abort(self, cluster: str, *, keep: bool) -> Stays:
        """End a rollout, and go back, or with `keep` leave every host as it is; returns why nothing is taken back.

        Raises `RequestError`.
        """
        push = self._under_way(cluster)
        if push.course.undoes:
            raise RequestError(
                "bad_request", f"generation {push.course.undoes} of {cluster} is being taken back already"
            )
        stays = self._succession.stays(push, keep=keep)
        push.abort(keep=keep)
        return stays

    def generation_of(self, cluster: str) -> int:
        """Tell the generation that is being rolled out. Raises `RequestError`."""
        return self._under_way(cluster).generation

    def _under_way(self, cluster: str) -> Push:
        push = self.running.get(cluster)
        if push is None:
            raise RequestError("bad_request", f"nothing of {cluster} is being rolled out")
        return push

    # --- what is heard --------------------------------------------------------------------------------------------

    def planned(self, host: str, answer: Planned) -> None:
        """A host has answered a trial."""
        self.trials.answered(host, answer)

    def lost(self, host: str) -> None:
        """A host's lease ran out."""
        for push in tuple(self.running.values()):
            push.lost(host)

    def heard(self, host: str, cluster: str, holding: Holding, *, hello: bool) -> bool:
        """Let the push that is under way make up for what a host missed; False if none concerns it."""
        push = self.running.get(cluster)
        if push is None or host not in push.hosts:
            return False
        push.heard(host, holding, hello=hello)
        return True
