"""Asking every host what a push would change, and putting their answers together. Nothing is changed by it."""

from __future__ import annotations

import asyncio
from typing import Any

from lbwire.messages import Planned

from .dispatch import Dispatch
from .preparing import Content
from .topology import Topology


class Trials:
    """Questions that wait for answers, by cluster and command number."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._loop = asyncio.get_running_loop()
        self._open: dict[tuple[str, int], dict[str, asyncio.Future[Planned]]] = {}

    async def ask(self, content: Content, wanted: Topology, leaving: Topology, seconds: float) -> dict[str, Any]:
        """Return host -> `steps` and `error`; who has not answered in time has an error."""
        asked: dict[str, list[asyncio.Future[Planned]]] = {}
        commands = []
        for role, state in content.states.items():
            hosts = dict.fromkeys((*wanted.roles[role], *leaving.roles[role]))
            command = self._dispatch.trial(content.cluster, role, state, hosts)
            commands.append((content.cluster, command))
            answers = {host: self._loop.create_future() for host in hosts}
            self._open[content.cluster, command] = answers
            for host, answer in answers.items():
                asked.setdefault(host, []).append(answer)
        try:
            futures = [future for several in asked.values() for future in several]
            if futures:
                await asyncio.wait(futures, timeout=seconds)
        finally:
            for key in commands:
                del self._open[key]
        return {host: _planned(several) for host, several in sorted(asked.items())}

    def answered(self, host: str, answer: Planned) -> None:
        """A host has answered; what nobody waits for is skipped."""
        future = self._open.get((answer.cluster, answer.command), {}).get(host)
        if future is not None and not future.done():
            future.set_result(answer)


def _planned(answers: list[asyncio.Future[Planned]]) -> dict[str, Any]:
    if not all(future.done() for future in answers):
        return {"steps": (), "error": "no answer in time"}
    results = [future.result() for future in answers]
    return {
        "steps": tuple(step for result in results for step in result.steps),
        "error": "; ".join(result.error for result in results if result.error),
    }
