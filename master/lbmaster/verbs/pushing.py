"""Verbs that make a cluster file's generation, or ask what it would change."""

from __future__ import annotations

from typing import Any

import msgspec

from lbmaster.control import Conversation, Verb
from lbmaster.requests import Options, Request

from .parts import Answer, Arguments, Parts, Seconds, Text, read


class _Plan(Arguments, frozen=True):
    text: str
    file: Text = "the cluster file"
    timeout: Seconds = 30.0
    allow_missing: tuple[str, ...] = ()


class _Push(Arguments, frozen=True):
    """`timeout` stands beside `options` for callers that know nothing else."""

    text: str
    file: Text = "the cluster file"
    by: Text = "somebody"
    reason: Text = ""
    timeout: Seconds | None = None
    options: Options = Options()


class PushVerbs:
    """`table` maps each verb to what answers it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.table: dict[str, Verb] = {"plan": self._plan, "push": self._push}

    async def _plan(self, arguments: dict[str, Any], _: Conversation) -> Answer:
        asked = read(arguments, _Plan)
        return await self._parts.pushes.plan(asked.text, asked.file, asked.timeout, asked.allow_missing)

    async def _push(self, arguments: dict[str, Any], conversation: Conversation) -> Answer:
        asked = read(arguments, _Push)
        options = with_timeout(asked.options, asked.timeout)
        request = Request("push", asked.by, origin(conversation), asked.reason, options)
        return await self._parts.pushes.push(asked.text, asked.file, request, conversation.note)


def with_timeout(options: Options, timeout: float | None) -> Options:
    """Let a `timeout` that stands alone win."""
    return options if timeout is None else msgspec.structs.replace(options, timeout=timeout)


def origin(conversation: Conversation) -> str:
    """Say who asks, and from where, as it was proved."""
    peer = conversation.peer
    return f"{peer.name}, {peer.origin}"
