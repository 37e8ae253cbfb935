"""Has the hosts of a cluster examined, and collects what they answer within a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any, Final

from lbwire.event_types import decode_data
from lbwire.events import DriftContested, DriftSettled
from lbwire.messages import Examined, Symptom

from .clusters import Clusters
from .dispatch import Dispatch
from .doctor import Contest, conclude, contested, copied
from .journal import Journal
from .view import View

RECENT_SECONDS: Final = 3600.0
RECENT_EVENTS: Final = 5000


class Examinations:
    """`answered` takes what comes from the uplink."""

    def __init__(self, dispatch: Dispatch, clusters: Clusters, view: View, journal: Journal) -> None:
        self._dispatch, self._clusters, self._view, self._journal = dispatch, clusters, view, journal
        self._waiting: dict[tuple[str, int], dict[str, asyncio.Future[Examined]]] = {}

    def answered(self, host: str, answer: Examined) -> None:
        """Take in an answer; one to something else, or from somebody else, is skipped."""
        future = self._waiting.get((answer.cluster, answer.command), {}).get(host)
        if future is not None and not future.done():
            future.set_result(answer)

    async def examine(self, cluster: str, seconds: float) -> dict[str, Any]:
        """Ask every host that is there; return what each found, and what shows between them."""
        topology = self._clusters.current(cluster)
        loop = asyncio.get_running_loop()
        command = self._dispatch.examine(cluster)
        waiting = {host: loop.create_future() for host in topology.hosts if self._view.is_there(host)}
        self._waiting[cluster, command] = waiting
        try:
            if waiting:
                await asyncio.wait(waiting.values(), timeout=seconds)
        finally:
            del self._waiting[cluster, command]
        answers = {host: future.result() for host, future in waiting.items() if future.done()}
        facts = {host: answer.facts for host, answer in answers.items() if not answer.error}
        between = [
            *conclude(facts, topology.directors, topology.instances),
            *contested(self._contests(topology.hosts)),
            *copied(self._doubled(topology.hosts)),
        ]
        return {
            "hosts": {host: _answer(answers.get(host)) for host in topology.hosts},
            "between": [{"hosts": list(found.hosts), **_symptom(found.symptom)} for found in between],
        }

    def _doubled(self, hosts: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Look up where the hosts are whose key another one uses."""
        return {host: it.doubled for host, it in self._view.minions.items() if host in hosts and it.doubled}

    def _contests(self, hosts: Collection[str]) -> list[Contest]:
        """Read of late what somebody kept changing back on these hosts, and what has settled since; oldest first."""
        since = time.time() - RECENT_SECONDS
        found = []
        for record in reversed(self._journal.page_before(self._journal.last + 1, RECENT_EVENTS)):
            known = record.type in (DriftContested.TYPE, DriftSettled.TYPE)
            if known and record.received > since and record.minion in hosts:
                data = decode_data(record.type, record.fields())
                if isinstance(data, DriftContested | DriftSettled):
                    open_ = isinstance(data, DriftContested)
                    found.append(Contest(record.minion, data.kind, data.identities, data.times, data.seconds, open_))
        return found


def _answer(answer: Examined | None) -> dict[str, Any]:
    if answer is None:
        return {"silent": True, "symptoms": []}
    found: dict[str, Any] = {"symptoms": [_symptom(symptom) for symptom in answer.symptoms]}
    return {**found, "error": answer.error} if answer.error else found


def _symptom(symptom: Symptom) -> dict[str, str]:
    return {name: getattr(symptom, name) for name in symptom.__struct_fields__}
