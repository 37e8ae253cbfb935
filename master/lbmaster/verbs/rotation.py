"""Verbs about replacing the master's own keys."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from lbmaster.control import Conversation, Verb
from lbmaster.errors import RequestError
from lbwire.messages import Name

from .parts import Answer, Arguments, Parts, read

ANSWER_SECONDS: Final = 0.2
"""For the answer to leave, before the sockets are made anew."""


class _Finish(Arguments, frozen=True):
    allow_missing: tuple[Name, ...] = ()


class RotationVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.table: dict[str, Verb] = {
            "keys.rotate": self._rotate,
            "keys.rotation": self._rotation,
            "keys.finish": self._finish,
        }

    async def _rotate(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        """Make the next keys and announce them; again: says how far it is."""
        read(arguments, Arguments)
        self._parts.store.rekeying.announce(self._parts.state_dir, self._parts.identity)
        self._parts.master.beacon()
        return self._standing()

    async def _rotation(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        read(arguments, Arguments)
        return self._standing()

    def _standing(self) -> Answer:
        rekeying = self._parts.store.rekeying
        if rekeying.announced is None:
            return {"number": 0, "fingerprint": "", "learned": [], "missing": []}
        known = {enrolment.id: enrolment.name for enrolment in self._parts.store.keyring.accepted.values()}
        return {
            "number": rekeying.announced.number,
            "fingerprint": rekeying.announced.fingerprint,
            "learned": sorted(name for of, name in known.items() if rekeying.has_learned(of)),
            "missing": sorted(name for of, name in known.items() if not rekeying.has_learned(of)),
        }

    async def _finish(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        """Put the next keys in force; every minion connects anew."""
        asked, standing = read(arguments, _Finish), self._standing()
        if not standing["number"]:
            raise RequestError("bad_request", "no keys are announced: run `lbmaster keys rotate-master` first")
        if self._parts.pushes.running:
            raise RequestError("busy", "a push is under way: wait for its end")
        missing = [name for name in standing["missing"] if name not in asked.allow_missing]
        if missing:
            raise RequestError(
                "absent",
                f"not every minion knows the new keys: {', '.join(missing)}; start lbminion there, revoke their keys, or leave"
                " them behind with --allow-missing (they have to join anew)",
            )
        self._parts.store.rekeying.put_in_force(self._parts.state_dir, self._parts.identity)
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._parts.again)
        return standing
