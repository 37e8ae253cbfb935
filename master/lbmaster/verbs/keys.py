"""Verbs about keys: which minions, people and programs may talk to this master."""

from __future__ import annotations

import sqlite3
import time
from typing import Annotated, Any, Final

from msgspec import Meta

from lbmaster.clientkeys import Client
from lbmaster.control import Conversation, Verb
from lbmaster.errors import RequestError
from lbmaster.keyring import Enrolment, Keyring, KeyState
from lbmaster.peer import Right
from lbservice.keys import from_fingerprint
from lbwire.conclusions import KeyAccepted, KeyRevoked
from lbwire.messages import Name

from .parts import Answer, Arguments, Parts, read

DAY: Final = 86400.0


class _Key(Arguments, frozen=True):
    name: str = ""
    fingerprint: str = ""


class _Token(Arguments, frozen=True):
    ttl: Annotated[float, Meta(gt=0, le=365 * DAY)]
    name: Name | None = None


class _Client(Arguments, frozen=True):
    name: Name
    role: Right
    public: Annotated[str, Meta(pattern=r"\A[a-z2-7]{52}\Z")]


class KeyVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.table: dict[str, Verb] = {
            "keys.list": self._list,
            "keys.accept": self._accept,
            "keys.reject": self._reject,
            "keys.revoke": self._revoke,
            "keys.token": self._token,
            "keys.client": self._client,
        }

    @property
    def _keyring(self) -> Keyring:
        return self._parts.store.keyring

    async def _list(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        read(arguments, Arguments)
        return {
            "keys": [self._key(enrolment) for enrolment in self._keyring.all()],
            "clients": [_of_client(client) for client in self._parts.store.clients.all()],
        }

    def _key(self, enrolment: Enrolment) -> dict[str, Any]:
        minion = self._parts.view.minions.get(enrolment.name) if enrolment.state == "accepted" else None
        seen = minion.seen if minion is not None and minion.seen is not None else enrolment.last_seen
        return {
            "name": enrolment.name,
            "fingerprint": enrolment.fingerprint,
            "state": enrolment.state,
            "since": enrolment.since,
            "last_seen": None if seen is None else max(0.0, round(time.time() - seen, 3)),
            "address": minion.address if minion is not None and minion.address else enrolment.address,
        }

    async def _accept(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        enrolment = self._find(arguments, ("pending", "rejected"))
        holder = self._keyring.by_name(enrolment.name)
        if holder is not None:
            text = f"{enrolment.name} has an accepted key ({holder.fingerprint}): revoke that one first"
            raise RequestError("bad_request", text)
        try:
            enrolment = self._keyring.set_state(enrolment, "accepted")
        except sqlite3.IntegrityError:
            raise RequestError("bad_request", f"{enrolment.name} has an accepted key: revoke that one first") from None
        self._parts.master.report(KeyAccepted(enrolment.fingerprint, "operator", enrolment.name))
        return self._key(enrolment)

    async def _reject(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        enrolment = self._keyring.set_state(self._find(arguments, ("pending",)), "rejected")
        self._parts.master.report(KeyRevoked(enrolment.fingerprint, enrolment.name))
        return self._key(enrolment)

    async def _revoke(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        client = self._a_client(arguments)
        if client is not None:
            self._parts.store.clients.revoke(client)
            self._parts.master.report(KeyRevoked(client.fingerprint, client.name))
            return _of_client(client)
        enrolment = self._keyring.set_state(self._find(arguments, ("accepted",)), "revoked")
        self._parts.view.forget(enrolment.name)
        self._parts.uplink.forget(enrolment.name)
        self._parts.master.report(KeyRevoked(enrolment.fingerprint, enrolment.name))
        # Its subscription would go on otherwise: the key is only asked for at the handshake.
        await self._parts.broadcast.renew()
        return self._key(enrolment)

    async def _client(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        """Accept the key of a client; its secret half never comes here."""
        asked = read(arguments, _Client)
        if "client" not in self._parts.ports:
            text = "this master does not listen for clients: set `clients = true` in its configuration, and restart it"
            raise RequestError("bad_request", text)
        public = _public(asked.public)
        if self._keyring.by_public(public) is not None:
            raise RequestError("bad_request", "this key is a minion's: make another")
        try:
            client = self._parts.store.clients.add(asked.name, public, asked.role)
        except sqlite3.IntegrityError:
            raise RequestError("bad_request", "this key is known: make another") from None
        self._parts.master.report(KeyAccepted(client.fingerprint, asked.role, client.name))
        return {**_of_client(client), "port": self._parts.ports["client"], "master": self._parts.fingerprint}

    def _a_client(self, arguments: dict[str, Any]) -> Client | None:
        """Find the client's key that is meant, unless a minion's is. Raises `RequestError`."""
        asked = read(arguments, _Key)
        accepted = self._parts.store.clients.accepted
        if asked.fingerprint:
            return accepted.get(_public(asked.fingerprint).decode())
        found = [client for client in accepted.values() if client.name == asked.name]
        if len(found) > 1 or (found and self._keyring.by_name(asked.name)):
            prints = ", ".join(client.fingerprint for client in found)
            raise RequestError("unknown_key", f"{asked.name} has several keys, name one by its fingerprint: {prints}")
        return found[0] if found else None

    def _find(self, arguments: dict[str, Any], states: tuple[KeyState, ...]) -> Enrolment:
        asked = read(arguments, _Key)
        if bool(asked.name) == bool(asked.fingerprint):
            raise RequestError("bad_request", "name a minion, or a fingerprint")
        if asked.fingerprint:
            public = _public(asked.fingerprint)
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

    async def _token(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = read(arguments, _Token)
        token, expires = self._keyring.make_token(asked.ttl, asked.name or "")
        return {"token": token, "expires": expires}


def _public(text: str) -> bytes:
    try:
        return from_fingerprint(text)
    except ValueError as error:
        raise RequestError("bad_request", str(error)) from None


def _of_client(client: Client) -> dict[str, Any]:
    return {
        "name": client.name,
        "role": client.role,
        "fingerprint": client.fingerprint,
        "state": client.state,
        "since": client.since,
        "last_seen": None if client.last_seen is None else max(0.0, round(time.time() - client.last_seen, 3)),
        "address": client.address,
    }
