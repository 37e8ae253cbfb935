"""Verbs by which operators decide beside the file: drain and maintenance; who holds a VIP is in `switching`.

Every one of them makes a generation and rolls it out as a push does. What follows from it in time (connections that end)
is seen in `status`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lbmaster import interventions as decide
from lbmaster.control import Conversation, Verb
from lbmaster.errors import RequestError
from lbmaster.in_force import InForce
from lbmaster.interventions import Decision
from lbmaster.requests import Kind, Options
from lbstates.clusterfile import Cluster
from lbstates.interventions import Interventions

from .elections import Elections
from .parts import Answer, Arguments, Parts, Seconds, Text, read
from .pushing import origin

Port = Annotated[int, Meta(ge=0, le=65535)]
Deadline = Annotated[float, Meta(ge=0, le=31 * 86400)]
Change = Callable[[Interventions], Interventions]


class Deciding(Arguments, frozen=True, kw_only=True):
    """What they all have: where, who, why; `force` leaves out what could refuse it; `allow_missing` hosts may be away."""

    cluster: str | None = None
    by: Text = "somebody"
    reason: Text = ""
    force: bool = False
    allow_missing: tuple[str, ...] = ()
    timeout: Seconds = 60.0

    @property
    def decision(self) -> Decision:
        """Who decides, and why: now."""
        return Decision(self.by, self.reason, time.time())


class _Drain(Deciding, frozen=True, kw_only=True):
    host: str
    vip: str | None = None
    port: Port | None = None
    deadline: Deadline = 0.0


class _Undrain(Deciding, frozen=True, kw_only=True):
    host: str
    vip: str | None = None
    port: Port | None = None


class _Maintenance(Deciding, frozen=True, kw_only=True):
    host: str
    on: bool


class Asked(msgspec.Struct, frozen=True):
    """What is to be carried out: `what` it is for people, and the hosts that it needs not."""

    cluster: str
    kind: Kind
    what: str
    change: Change
    needless: tuple[str, ...] = ()


class Operator:
    """Carries out what was asked, and finds the cluster that is meant."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.in_force = InForce(parts.store.generations, parts.store.records)

    async def carry_out(self, asked: Asked, given: Deciding, conversation: Conversation) -> Answer:
        """Make the generation and roll it out. Raises `RequestError`."""
        options = Options(
            timeout=given.timeout, allow_missing=(*given.allow_missing, *asked.needless), below_floor=given.force
        )
        result = await self._parts.pushes.change(
            asked.cluster,
            asked.change,
            kind=asked.kind,
            by=given.by,
            origin=origin(conversation),
            reason=given.reason,
            options=options,
            note=conversation.note,
        )
        return {**result, "what": asked.what}

    async def file_with(self, cluster: str | None, what: str, has: Callable[[Cluster], bool]) -> Cluster:
        """Return the file of the cluster that is named, or of the only one that has what is asked for."""
        files = [await self.in_force.file(name) for name in self._parts.names(cluster) if self.in_force.released(name)]
        if cluster is None and len(files) != 1:
            found = [file for file in files if has(file)]
            if len(found) > 1:
                names = ", ".join(file.cluster for file in found)
                raise RequestError("several", f"{what} is in several clusters: {names}; name one with --cluster")
            files = found
        if not files:
            raise RequestError(
                "unknown", f"no cluster has {what}" + ("" if self._parts.names(None) else "; none was pushed")
            )
        return files[0]


class InterventionVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._operator = Operator(parts)
        self._elections = Elections(parts, self._operator.in_force)
        self.table: dict[str, Verb] = {
            "drain": self._drain,
            "undrain": self._undrain,
            "maintenance": self._maintenance,
        }

    async def _drain(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        given = read(arguments, _Drain)
        file = await self._with_real_server(given)
        target = decide.target_of(file, given.host, given.vip, given.port)
        decision = given.decision
        asked = Asked(
            file.cluster,
            "drain",
            str(target),
            lambda now: decide.drain(now, target, given.deadline, decision),
            # A real server is drained because it is ill, perhaps.
            needless=(given.host,),
        )
        return await self._operator.carry_out(asked, given, conversation)

    async def _undrain(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        given = read(arguments, _Undrain)
        file = await self._with_real_server(given)
        target = decide.target_named(file, given.host, given.vip, given.port)
        asked = Asked(file.cluster, "undrain", str(target), lambda now: decide.undrain(now, target))
        return await self._operator.carry_out(asked, given, conversation)

    async def _with_real_server(self, given: _Drain | _Undrain) -> Cluster:
        what = f"a real server {given.host}"
        return await self._operator.file_with(given.cluster, what, lambda file: given.host in file.real_servers)

    async def _maintenance(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        given = read(arguments, _Maintenance)
        host, decision = given.host, given.decision

        def has(file: Cluster) -> bool:
            return host in file.real_servers or host in file.directors

        file = await self._operator.file_with(given.cluster, f"a host {host}", has)
        decide.host_named(file, host)
        if given.on and not given.reason:
            raise RequestError("no_reason", f"say why {host} is in maintenance: --reason TEXT")
        if given.on and not given.force and host in file.directors:
            self._elections.check_takers(file.cluster, host, self._elections.held(file.cluster, host))
        asked = Asked(
            file.cluster,
            "maintenance",
            f"{host} {'on' if given.on else 'off'}",
            lambda now: (
                decide.begin_maintenance(now, host, decision) if given.on else decide.end_maintenance(now, host)
            ),
            needless=(host,),
        )
        return await self._operator.carry_out(asked, given, conversation)
