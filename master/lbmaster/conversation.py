"""One request on the master's control socket: newline-delimited JSON over a unix stream socket.

Blocking, and with nothing but the standard library, so that it may be used by the CLI and by any script. What is asked
and what is done with the answer is the caller's business. `lbmaster.client` holds the subscriber's side.
"""

from __future__ import annotations

import errno
import json
import os
import socket as sockets
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

CONTROL_SOCKET: Final = Path("/run/lbmaster/control.sock")
EVENTS_SOCKET: Final = Path("/run/lbmaster/events.sock")
LINE_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one line, either way."""

Json: TypeAlias = dict[str, Any]


class ConversationError(Exception):
    """Base of all that can go wrong between this process and the master."""


class Unreachable(ConversationError):
    """No master answers at the socket; `denied`: there may be one, but this user may not ask it."""

    def __init__(self, path: Path, wrong: str, way_out: str, *, denied: bool = False) -> None:
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


def call(
    verb: str,
    arguments: Mapping[str, object] | None = None,
    *,
    socket: Path = CONTROL_SOCKET,
    patience: float | None = 30.0,
    on_note: Callable[[Json], None] | None = None,
) -> Json:
    """Ask, and return the result; notes on the way go to `on_note`. Raises `ConversationError`s; see `request`."""
    conversation = request(verb, arguments, socket=socket, patience=patience)
    while True:
        try:
            note = next(conversation)
        except StopIteration as end:
            result: Json = end.value
            return result
        if on_note is not None:
            on_note(note)


def request(
    verb: str,
    arguments: Mapping[str, object] | None = None,
    *,
    socket: Path = CONTROL_SOCKET,
    patience: float | None = 30.0,
) -> Generator[Json, None, Json]:
    """Ask, yield the notes as they come, and return the result.

    `patience`: seconds without a line from the master before it counts as gone (None: for ever). Raises `Unreachable`,
    `BrokenOff`, `NotUnderstood`, `Oversized`, and `RequestRefused` for an error that the master answered with.
    """
    asked = encode_request(verb, arguments)
    with _connect(socket, patience) as connection:
        try:
            # A master that has answered already (a refusal) may have hung up before it read everything.
            with suppress(BrokenPipeError):
                connection.sendall(asked)
            for line in _lines(connection):
                note, result = decode_answer(line)
                if result is not None:
                    return result
                yield note
        except TimeoutError:
            raise BrokenOff(f"the master at {socket} has been silent for {patience:.0f} s; is it overloaded?") from None
        except ConnectionError as error:
            raise BrokenOff(f"the master at {socket} hung up: {error.strerror}; was it stopped?") from None
    raise BrokenOff(f"the master at {socket} ended before it had answered; was it stopped?")


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


def unreachable(path: Path, error: OSError) -> Unreachable:
    """Say what a failed connect means, and the way out."""
    match error.errno:
        case errno.ENOENT:
            return Unreachable(
                path,
                "there is no such socket",
                "is it running? systemctl start lbmaster, or name its socket (--socket)",
            )
        case errno.ECONNREFUSED:
            return Unreachable(path, "nobody listens there", "is it running? systemctl start lbmaster")
        case errno.EACCES | errno.EPERM:
            group = ", or as a member of its group" if path.name == EVENTS_SOCKET.name else ""
            return Unreachable(path, "permission denied", f"run this as root (sudo){group}", denied=True)
        case _:
            return Unreachable(path, error.strerror or str(error), "is that the right socket?")


def _connect(path: Path, patience: float | None) -> sockets.socket:
    connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect(os.fspath(path))
    except OSError as error:
        connection.close()
        raise unreachable(path, error) from None
    return connection


def _lines(connection: sockets.socket) -> Iterator[bytes]:
    with connection.makefile("rb") as stream:
        while line := stream.readline(LINE_LIMIT + 1):
            if not line.endswith(b"\n"):
                if len(line) > LINE_LIMIT:
                    raise NotUnderstood(f"a line of the master's answer has more than {LINE_LIMIT} bytes")
                return
            yield line
