"""What a client and the master say to each other at the control socket and over the network: lines, and what goes wrong.

Lines are made and read here; sending them is the business of `lbmaster.conversation` (a socket) and `lbmaster.network`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

CONTROL_SOCKET: Final = Path("/run/lbmaster/control.sock")
EVENTS_SOCKET: Final = Path("/run/lbmaster/events.sock")
LINE_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one line, either way."""

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Remote:
    """A master on another host: its address, its key, and ours (all keys in Z85). `lbmaster.network` reads one."""

    host: str
    port: int
    master: bytes
    public: bytes
    secret: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Where: TypeAlias = Path | Remote


class ConversationError(Exception):
    """Base of all that can go wrong between this process and the master."""


class Unreachable(ConversationError):
    """No master answers at the socket; `denied`: there may be one, but this user may not ask it."""

    def __init__(self, path: Where, wrong: str, way_out: str, *, denied: bool = False) -> None:
        super().__init__(f"cannot reach the master at {path}: {wrong}; {way_out}")
        self.path = path
        self.denied = denied


class BrokenOff(ConversationError):
    """The master ended the conversation before it had answered: it was stopped, or killed."""


class NotUnderstood(ConversationError):
    """What came back is not the protocol: another product, or another release."""


class RequestRefused(ConversationError):
    """The master said no: `kind` is a stable word, `findings` name places in the file that was sent."""

    def __init__(self, kind: str, text: str, findings: tuple[Json, ...] = ()) -> None:
        super().__init__(text)
        self.kind = kind
        self.findings = findings


class Oversized(ConversationError):
    """The request would be longer than the protocol allows; nothing was sent."""


def encode_request(verb: str, arguments: Mapping[str, object] | None) -> bytes:
    """Write a request as its line; arguments that are None are left out. Raises `Oversized`."""
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    line = json.dumps({"verb": verb, **given}).encode() + b"\n"
    if len(line) > LINE_LIMIT:
        raise Oversized(f"the request has {len(line)} bytes, the limit is {LINE_LIMIT}; split the cluster")
    return line


def decode_answer(line: bytes) -> tuple[Json, Json | None]:
    """Read one line of an answer: (note, None), or ({}, result).

    Raises `RequestRefused` for an error line and `NotUnderstood` for anything else.
    """
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    match answer:
        case {"note": dict(note)}:
            return note, None
        case {"result": dict(result)}:
            return {}, result
        case {"error": {"kind": str(kind), "text": str(text), **rest}}:
            findings = rest.get("findings")
            listed = findings if isinstance(findings, list) else []
            raise RequestRefused(kind, text, tuple(finding for finding in listed if isinstance(finding, dict)))
        case _:
            raise NotUnderstood("the master's answer is not understood; are both of the same release?")
