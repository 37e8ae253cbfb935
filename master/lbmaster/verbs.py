"""What can be asked at the control socket: each verb reads its arguments, asks the part that knows, and answers.

The protocol is documented in docs/control.md. Arguments are typed; what does not fit is a `bad_request`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from lbservice.keys import from_fingerprint
from lbwire.events import KeyAccepted, KeyRevoked
from lbwire.messages import Name

from .bus import Bus
from .clusters import Clusters
from .control import Conversation, Verb
from .endpoints import Broadcast
from .errors import RequestError
from .follow import Wanted, past, stream
from .keyring import Enrolment, Keyring, KeyState
from .master import Master
from .pushes import Pushes
from .report import cluster_stats, cluster_status
from .store import Store
from .uplink import Uplink
from .view import View

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Text = Annotated[str, Meta(max_length=4096)]
DAY: Final = 86400.0
READ_ONLY: Final = frozenset({"events"})


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Nothing(_Arguments, frozen=True):
    pass


class _Key(_Arguments, frozen=True):
    name: str = ""
    fingerprint: str = ""


class _Token(_Arguments, frozen=True):
    ttl: Annotated[float, Meta(gt=0, le=365 * DAY)]
    name: Name | None = None


class _Plan(_Arguments, frozen=True):
    text: str
    file: Text = "the cluster file"
    timeout: Seconds = 30.0


class _Push(_Arguments, frozen=True):
    text: str
    file: Text = "the cluster file"
    by: Text = "somebody"
    timeout: Seconds = 60.0


class _Cluster(_Arguments, frozen=True):
    cluster: str | None = None


class _Doctor(_Arguments, frozen=True):
    cluster: str | None = None
    timeout: Seconds = 12.0


class _Reconcile(_Arguments, frozen=True):
    cluster: str
    timeout: Seconds = 10.0
    reason: Text = "operator"


Shape = TypeVar("Shape")
Answer = dict[str, Any]


class Verbs:
    """`table` maps each verb to what answers it. `now` is the event loop's clock, `ports` are those of the endpoints."""

    def __init__(
        self,
        product: str,
        ports: dict[str, int],
        fingerprint: str,
        store: Store,
        clusters: Clusters,
        view: View,
        bus: Bus,
        master: Master,
        pushes: Pushes,
        broadcast: Broadcast,
        uplink: Uplink,
        now: Callable[[], float],
    ) -> None:
        self._product, self._ports, self._fingerprint, self._now = product, ports, fingerprint, now
        self._store, self._clusters, self._view, self._bus = store, clusters, view, bus
        self._master, self._pushes, self._broadcast, self._uplink = master, pushes, broadcast, uplink
        self._started = now()
        self.table: dict[str, Verb] = {
            "ping": self._ping,
            "keys.list": self._keys_list,
            "keys.accept": self._keys_accept,
            "keys.reject": self._keys_reject,
            "keys.revoke": self._keys_revoke,
            "keys.token": self._keys_token,
            "plan": self._plan,
            "push": self._push,
            "status": self._status,
            "stats": self._stats,
            "events": self._events,
            "reconcile": self._reconcile,
            "doctor": self._doctor,
        }

    @property
    def _keyring(self) -> Keyring:
        return self._store.keyring

    async def _ping(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        _read(arguments, _Nothing)
        return {
            "product": self._product,
            "uptime": round(self._now() - self._started, 3),
            "fingerprint": self._fingerprint,
            "ports": self._ports,
        }

    # --- keys -----------------------------------------------------------------------------------------------------

    async def _keys_list(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        _read(arguments, _Nothing)
        return {"keys": [self._key(enrolment) for enrolment in self._keyring.all()]}

    def _key(self, enrolment: Enrolment) -> dict[str, Any]:
        minion = self._view.minions.get(enrolment.name) if enrolment.state == "accepted" else None
        seen = minion.seen if minion is not None and minion.seen is not None else enrolment.last_seen
        return {
            "name": enrolment.name,
            "fingerprint": enrolment.fingerprint,
            "state": enrolment.state,
            "since": enrolment.since,
            "last_seen": None if seen is None else max(0.0, round(time.time() - seen, 3)),
            "address": minion.address if minion is not None and minion.address else enrolment.address,
        }

    async def _keys_accept(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        enrolment = self._find(arguments, ("pending", "rejected"))
        holder = self._keyring.by_name(enrolment.name)
        if holder is not None:
            text = f"{enrolment.name} has an accepted key ({holder.fingerprint}): revoke that one first"
            raise RequestError("bad_request", text)
        try:
            enrolment = self._keyring.set_state(enrolment, "accepted")
        except sqlite3.IntegrityError:
            raise RequestError("bad_request", f"{enrolment.name} has an accepted key: revoke that one first") from None
        self._master.report(KeyAccepted(enrolment.fingerprint, "operator", enrolment.name))
        return self._key(enrolment)

    async def _keys_reject(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        enrolment = self._keyring.set_state(self._find(arguments, ("pending",)), "rejected")
        self._master.report(KeyRevoked(enrolment.fingerprint, enrolment.name))
        return self._key(enrolment)

    async def _keys_revoke(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        enrolment = self._keyring.set_state(self._find(arguments, ("accepted",)), "revoked")
        self._view.forget(enrolment.name)
        self._uplink.forget(enrolment.name)
        self._master.report(KeyRevoked(enrolment.fingerprint, enrolment.name))
        # Its subscription would go on otherwise: the key is only asked for at the handshake.
        await self._broadcast.renew()
        return self._key(enrolment)

    def _find(self, arguments: dict[str, Any], states: tuple[KeyState, ...]) -> Enrolment:
        asked = _read(arguments, _Key)
        if bool(asked.name) == bool(asked.fingerprint):
            raise RequestError("bad_request", "name a minion, or a fingerprint")
        if asked.fingerprint:
            try:
                public = from_fingerprint(asked.fingerprint)
            except ValueError as error:
                raise RequestError("bad_request", str(error)) from None
            known = [key for key in self._keyring.all() if key.public == public]
        else:
            known = [key for key in self._keyring.all() if key.name == asked.name]
        what = asked.name or asked.fingerprint
        fitting = [key for key in known if key.state in states]
        if not known:
            raise RequestError("unknown_key", f"no key of {what} is known: see `lbmaster keys list`")
        if not fitting:
            now = ", ".join(key.state for key in known)
            raise RequestError("unknown_key", f"the key of {what} is {now}, not {' or '.join(states)}")
        if len(fitting) > 1:
            prints = ", ".join(key.fingerprint for key in fitting)
            raise RequestError("unknown_key", f"{what} has several keys, name one by its fingerprint: {prints}")
        return fitting[0]

    async def _keys_token(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = _read(arguments, _Token)
        token, expires = self._keyring.make_token(asked.ttl, asked.name or "")
        return {"token": token, "expires": expires}

    # --- clusters -------------------------------------------------------------------------------------------------

    async def _plan(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = _read(arguments, _Plan)
        return await self._pushes.plan(asked.text, asked.file, asked.timeout)

    async def _push(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        asked = _read(arguments, _Push)
        return await self._pushes.push(asked.text, asked.file, asked.by, asked.timeout, conversation.note)

    async def _status(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        names = self._names(_read(arguments, _Cluster).cluster)
        known = self._store.generations.clusters
        now = self._now()
        return {
            "time": time.time(),
            "clusters": {
                name: cluster_status(
                    name, known[name], self._clusters.current(name), self._view, self._pushes.running.get(name), now
                )
                for name in names
            },
            "unassigned": self._unassigned(),
        }

    def _unassigned(self) -> list[str]:
        assigned = {host for name in self._store.generations.clusters for host in self._clusters.current(name).hosts}
        return sorted({enrolment.name for enrolment in self._keyring.accepted.values()} - assigned)

    async def _stats(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        names = self._names(_read(arguments, _Cluster).cluster)
        now = self._now()
        return {"clusters": {name: cluster_stats(self._clusters.current(name), self._view, now) for name in names}}

    async def _reconcile(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = _read(arguments, _Reconcile)
        self._names(asked.cluster)
        done = await self._master.reconcile(asked.cluster, asked.reason, asked.timeout)
        hosts = self._clusters.current(asked.cluster).hosts
        return {
            "cluster": asked.cluster,
            "hosts": {
                host: {"healed": done.answers[host].healed, "remaining": done.answers[host].remaining}
                if host in done.answers
                else {"silent": True}
                for host in hosts
            },
        }

    async def _doctor(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = _read(arguments, _Doctor)
        names = self._names(asked.cluster)
        found = await asyncio.gather(*(self._master.examinations.examine(name, asked.timeout) for name in names))
        return {"clusters": dict(zip(names, found, strict=True))}

    def _names(self, cluster: str | None) -> list[str]:
        # A cluster whose first push never got further has numbers, and nothing to show.
        known = sorted(name for name, it in self._store.generations.clusters.items() if it.generation)
        if cluster is None:
            return known
        if cluster not in known:
            raise RequestError("unknown_cluster", f"no cluster {cluster}; there are: {', '.join(known) or 'none yet'}")
        return [cluster]

    # --- events ---------------------------------------------------------------------------------------------------

    async def _events(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        wanted = _read(arguments, Wanted)
        if wanted.follow:
            return await stream(self._bus, wanted, conversation.notes)
        return await past(self._bus, wanted, conversation.notes)


def _read(arguments: dict[str, Any], shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(arguments, shape)
    except msgspec.ValidationError as error:
        raise RequestError("bad_request", f"the arguments are not understood: {error}") from None
