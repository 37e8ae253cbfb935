"""Verbs about the master itself and its event stream."""

from __future__ import annotations

from typing import Any

from lbmaster.control import Conversation, Verb
from lbmaster.follow import Wanted, past, stream

from .parts import Answer, Arguments, Parts, read


class ServiceVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started = parts.now()
        self.table: dict[str, Verb] = {"ping": self._ping, "events": self._events}

    async def _ping(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        read(arguments, Arguments)
        return {
            "product": self._parts.product,
            "uptime": round(self._parts.now() - self._started, 3),
            "fingerprint": self._parts.fingerprint,
            "ports": self._parts.ports,
        }

    async def _events(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        wanted = read(arguments, Wanted)
        if wanted.follow:
            return await stream(self._parts.bus, wanted, conversation.notes)
        return await past(self._parts.bus, wanted, conversation.notes)
