"""One request to the master: newline-delimited JSON (`protocol`) over its control socket, a unix stream, or the network.

Blocking, and at a socket with nothing but the standard library, so that it may be used by the CLI and by any script.
What is asked and what is done with the answer is the caller's business. `lbmaster.client` holds the subscriber's side,
`lbmaster.network` what is different over the network.
"""

from __future__ import annotations

import errno
import os
import socket as sockets
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .protocol import (
    CONTROL_SOCKET,
    EVENTS_SOCKET,
    LINE_LIMIT,
    BrokenOff,
    Json,
    NotUnderstood,
    Remote,
    Unreachable,
    Where,
    decode_answer,
    encode_request,
)


def call(
    verb: str,
    arguments: Mapping[str, object] | None = None,
    *,
    socket: Where = CONTROL_SOCKET,
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
    socket: Where = CONTROL_SOCKET,
    patience: float | None = 30.0,
) -> Generator[Json, None, Json]:
    """Ask, yield the notes as they come, and return the result.

    `patience`: seconds without a line from the master before it counts as gone (None: for ever). Raises `Unreachable`,
    `BrokenOff`, `NotUnderstood`, `Oversized`, and `RequestRefused` for an error that the master answered with.
    """
    asked = encode_request(verb, arguments)
    if isinstance(socket, Remote):
        from . import network  # noqa: PLC0415 - the standard library is enough for a socket

        return (yield from network.request(socket, asked, patience))
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
