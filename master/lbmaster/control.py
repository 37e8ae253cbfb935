"""The unix sockets for the command line and for subscribers: newline-delimited JSON, one request per connection.

Reads and writes lines, and turns errors into answers; what a verb does is in `verbs`. The sockets' permissions say who
may ask: the control socket is the owner's, the events socket (which knows no verb but `events`) a group's as well.
"""

from __future__ import annotations

import asyncio
import errno
import grp
import logging
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Container, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from .errors import RequestError, StartupError
from .peer import Peer, Right, local_peer

logger = logging.getLogger(__name__)

LINE_LIMIT: Final = 8 * 1024 * 1024
REQUEST_SECONDS: Final = 10.0
"""How long a client may take to say what it wants."""


class Conversation(ABC):
    """The answering side of one request, whatever way it came; `peer` is who asks."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    @abstractmethod
    def write(self, line: bytes) -> None:
        """Hand over one line, without waiting."""

    @abstractmethod
    async def notes(self, notes: list[Any]) -> None:
        """Send several, and wait until the reader keeps up. Raises `ConnectionError` when he went away."""

    def note(self, note: Any) -> None:  # noqa: ANN401 - JSON
        self._write({"note": note})

    def _write(self, line: dict[str, Any]) -> None:
        self.write(msgspec.json.encode(line) + b"\n")

    def result(self, result: Any) -> None:  # noqa: ANN401 - JSON
        self._write({"result": result})

    def error(self, error: RequestError) -> None:
        answer: dict[str, Any] = {"kind": error.kind, "text": str(error)}
        if error.findings:
            answer["findings"] = error.findings
        self._write({"error": answer})


class LocalConversation(Conversation):
    """One at a unix socket."""

    def __init__(self, writer: asyncio.StreamWriter, peer: Peer) -> None:
        super().__init__(peer)
        self._writer = writer

    def write(self, line: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(line)

    async def notes(self, notes: list[Any]) -> None:
        self._writer.write(b"".join(msgspec.json.encode({"note": note}) + b"\n" for note in notes))
        await self._writer.drain()


Verb = Callable[[dict[str, Any], Conversation], Awaitable[Any]]


class Server:
    """One socket; `allowed` are the verbs that it answers, `right` is what whoever may open it is."""

    def __init__(self, path: Path, verbs: dict[str, Verb], allowed: Container[str], right: Right) -> None:
        self._path, self._verbs, self._allowed, self._right = path, verbs, allowed, right
        self._talks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, mode: int, group: str = "") -> None:
        """Listen. Raises `StartupError` that names the path: another master, no rights, no such group."""
        listening = _listen(self._path, mode, group)
        self._server = await asyncio.start_unix_server(self._connected, sock=listening, limit=LINE_LIMIT)

    async def stop(self) -> None:
        """End every conversation, and take the socket away."""
        if self._server is None:
            return
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        if talk is None:
            return
        self._talks.add(talk)
        connection = writer.get_extra_info("socket")
        conversation = LocalConversation(writer, local_peer(connection, self._right))
        try:
            await self._talk(reader, conversation)
        except ConnectionError:
            pass  # the client went away
        except asyncio.CancelledError:
            logger.debug("the master stops in the middle of a conversation")
        except Exception:
            logger.exception("a request failed")
            conversation.error(RequestError("internal", "the master failed at this request: its log says more"))
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, conversation: LocalConversation) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                line = await reader.readline()
        except (ValueError, TimeoutError):
            conversation.error(RequestError("bad_request", f"a request is one line of at most {LINE_LIMIT} bytes"))
            return
        if not line.endswith(b"\n"):
            return
        gone = asyncio.ensure_future(reader.read(1))
        try:
            verb, arguments = self._understood(line)
            work = asyncio.ensure_future(verb(arguments, conversation))
            # Nothing more is expected from the client: reading on tells when it has gone.
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                return
            conversation.result(work.result())
        except RequestError as error:
            conversation.error(error)
        finally:
            gone.cancel()

    def _understood(self, line: bytes) -> tuple[Verb, dict[str, Any]]:
        name, arguments = understood(line, self._verbs)
        if name not in self._allowed:
            raise RequestError("not_allowed", f"{name} is not for this socket; ask at the control socket, as root")
        return self._verbs[name], arguments


def understood(line: bytes, verbs: Mapping[str, Verb]) -> tuple[str, dict[str, Any]]:
    """Read a request: which verb, and its arguments. Raises `RequestError`."""
    try:
        request = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("bad_request", f"not a JSON object: {error}") from None
    name = request.pop("verb", None)
    if not isinstance(name, str) or name not in verbs:
        raise RequestError("bad_request", f"unknown verb {str(name)[:100]!r}; there are: {', '.join(sorted(verbs))}")
    return name, request


def _listen(path: Path, mode: int, group: str) -> socket.socket:
    try:
        gid = grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise StartupError(f"there is no group {group}: make it, or change events_group") from None
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(path)
        # Nobody else may connect in the moment between bind and chmod.
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        if gid >= 0:
            os.chown(path, -1, gid)
        path.chmod(mode)
        listening.listen(64)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise StartupError(
            f"cannot listen at {path}: {error.strerror or error}; check runtime_dir, its owner and rights"
        ) from error
    except StartupError:
        listening.close()
        raise
    return listening


def _clear(path: Path) -> None:
    """Take away the socket of a master that was killed; one that answers is alive."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise
            path.unlink(missing_ok=True)
        else:
            raise StartupError(f"another master listens at {path}: stop it, or give this one another runtime_dir")
