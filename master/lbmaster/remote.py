"""The clients' endpoint: the control socket's verbs over the network, for keys that were made for that.

A request is two frames, an id of the client's choice and the JSON of the control protocol; every answer is that id and
some lines of JSON. An empty second frame from the client ends what it asked for, one from here only says that somebody
is there. Who asks is what the handshake proved; what a key may is decided by its role, in `audit`.

Everything is bounded: requests at a time and per key, and what waits for a client that reads slowly. Who reads too
slowly for too long is cut off, and costs nobody else anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
import zmq
import zmq.asyncio

from lbservice import sockets
from lbservice.keys import CurvePair
from lbwire.errors import Refused

from .audit import may
from .clientkeys import Client, ClientKeys
from .config import Config
from .control import LINE_LIMIT, Conversation, Verb, understood
from .endpoints import CLIENT, bind, prepare, property_of
from .errors import RequestError
from .peer import Peer

logger = logging.getLogger(__name__)

FRAMES: Final = 3
QUEUE: Final = 32
"""Messages on their way to one client, and from it."""
CHUNK: Final = 256 * 1024
"""Bytes of answers in one message, unless a single line has more."""
BACKLOG: Final = 1000
"""Lines that wait for one client beyond its queue."""
SLOW_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 0.05
ALIVE_SECONDS: Final = 5.0
MOST_TALKS: Final = 16
"""Requests of one key at a time."""
MOST_OF_ALL: Final = 200
ID_BYTES: Final = 32


class NotAllowed(Refused):
    """A client asks for what its role may not."""

    reason = "not_allowed"


class Gone(ConnectionError):
    """The client is no longer connected, or reads too slowly."""


class RemoteConversation(Conversation):
    """The answering side of one request from the network."""

    def __init__(self, socket: zmq.asyncio.Socket, route: bytes, number: bytes, peer: Peer) -> None:
        super().__init__(peer)
        self._socket, self._route, self._number = socket, route, number
        self._waiting: deque[bytes] = deque()
        self.broken = asyncio.Event()

    def write(self, line: bytes) -> None:
        if len(self._waiting) >= BACKLOG:
            self.broken.set()
            return
        self._waiting.append(line)
        try:
            self._push()
        except Gone:
            self.broken.set()

    def _push(self) -> bool:
        """Send what waits, as far as the queue takes it; returns whether nothing waits any more. Raises `Gone`."""
        while self._waiting:
            lines: list[bytes] = []
            size = 0
            for line in self._waiting:
                if lines and size + len(line) > CHUNK:
                    break
                lines.append(line)
                size += len(line)
            if not self._sent(b"".join(lines)):
                return False
            for _ in lines:
                self._waiting.popleft()
        return True

    def _sent(self, content: bytes) -> bool:
        outcome: Any = self._socket.send_multipart([self._route, self._number, content], zmq.NOBLOCK)
        error = outcome.exception()
        if error is None:
            return True
        if isinstance(error, zmq.ZMQError) and error.errno == zmq.EAGAIN:
            return False
        raise Gone("the client went away") from error

    async def notes(self, notes: list[Any]) -> None:
        for note in notes:
            self._waiting.append(msgspec.json.encode({"note": note}) + b"\n")
        await self.flush()

    async def flush(self) -> None:
        """Wait until everything was handed over. Raises `Gone` for who went away, or reads too slowly."""
        loop = asyncio.get_running_loop()
        deadline, left = loop.time() + SLOW_SECONDS, len(self._waiting)
        while not self._push():
            if len(self._waiting) < left:
                deadline, left = loop.time() + SLOW_SECONDS, len(self._waiting)
            if loop.time() > deadline:
                raise Gone(f"the client has taken nothing for {SLOW_SECONDS:.0f} s")
            await asyncio.sleep(RETRY_SECONDS)

    def beat(self) -> None:
        """Say that somebody is there, which also shows whether the client still is."""
        try:
            if not self._waiting:
                self._sent(b"")
        except Gone:
            self.broken.set()


class RemoteServer:
    """`refused` is told (name of a key, why) what was not allowed."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        keys: CurvePair,
        config: Config,
        clients: ClientKeys,
        verbs: Mapping[str, Verb],
        refused: Callable[[str, Refused], None],
    ) -> None:
        self._clients, self._verbs, self._refused = clients, verbs, refused
        self._talks: dict[tuple[bytes, bytes], tuple[str, asyncio.Task[None]]] = {}
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, QUEUE)
        self._socket.setsockopt(zmq.RCVHWM, QUEUE)
        prepare(self._socket, keys, CLIENT, config)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LINE_LIMIT)
        self.port = bind(self._socket, "clients", "client_port", config.client_port, config)

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            await sockets.read(self._socket, self._handle, most=QUEUE)
        finally:
            talks = [task for _, task in self._talks.values()]
            for task in talks:
                task.cancel()
            await asyncio.gather(*talks, return_exceptions=True)

    def close(self) -> None:
        self._socket.close(0)

    def cut(self, public: bytes) -> None:
        """End what a key has asked for: it was revoked."""
        for user, task in list(self._talks.values()):
            if user == public.decode():
                task.cancel()

    def _handle(self, batch: list[sockets.Message]) -> None:
        for frames in batch:
            user = property_of(frames[-1], "User-Id")
            client = self._clients.accepted.get(user)
            # A key that was revoked after its handshake gets no answer at all.
            if client is None or len(frames) != FRAMES or len(frames[1]) > ID_BYTES:
                continue
            place = (frames[0].bytes, frames[1].bytes)
            if not len(frames[2]):
                if place in self._talks:
                    self._talks[place][1].cancel()
                continue
            address = property_of(frames[-1], "Peer-Address")
            conversation = RemoteConversation(self._socket, *place, Peer(client.name, address, client.role))
            if wrong := self._too_much(user, place):
                conversation.error(RequestError("busy", wrong))
                continue
            task = asyncio.create_task(self._talk(frames[2].bytes, conversation, client))
            self._talks[place] = (user, task)
            task.add_done_callback(partial(self._ended, place))

    def _ended(self, place: tuple[bytes, bytes], _: asyncio.Task[None]) -> None:
        self._talks.pop(place, None)

    def _too_much(self, user: str, place: tuple[bytes, bytes]) -> str:
        if place in self._talks:
            return "this id is that of a request under way"
        if sum(of == user for of, _ in self._talks.values()) >= MOST_TALKS:
            return f"this key has {MOST_TALKS} requests under way: wait for one to end"
        if len(self._talks) >= MOST_OF_ALL:
            return f"{MOST_OF_ALL} requests are under way: wait for one to end"
        return ""

    async def _talk(self, raw: bytes, conversation: RemoteConversation, client: Client) -> None:
        try:
            verb, arguments = self._admitted(raw, client)
            self._clients.seen(client, conversation.peer.origin)
            work = asyncio.ensure_future(verb(arguments, conversation))
            try:
                if await _ends(work, conversation):
                    conversation.result(work.result())
            finally:
                work.cancel()
        except RequestError as error:
            conversation.error(error)
        except Gone as gone:
            logger.info("%s at %s is cut off: %s", client.name, conversation.peer.origin, gone)
            return
        except Exception:
            logger.exception("a request failed")
            conversation.error(RequestError("internal", "the master failed at this request: its log says more"))
        try:
            await conversation.flush()
        except Gone:
            logger.info("%s at %s did not wait for the answer", client.name, conversation.peer.origin)

    def _admitted(self, raw: bytes, client: Client) -> tuple[Verb, dict[str, Any]]:
        name, arguments = understood(raw, self._verbs)
        if not may(client.role, name):
            self._refused(client.name, NotAllowed(f"{name} is not for a {client.role}"))
            raise RequestError(
                "not_allowed",
                f"{name} is not for a {client.role}"
                + (": ask on the master's host" if client.role == "operator" else "; ask with an operator's key"),
            )
        return self._verbs[name], arguments


async def _ends(work: asyncio.Future[Any], conversation: RemoteConversation) -> bool:
    """Wait for the work to end; False when the client ended before. Says now and then that it goes on."""
    broken = asyncio.ensure_future(conversation.broken.wait())
    try:
        while True:
            await asyncio.wait({work, broken}, timeout=ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return True
            if broken.done():
                return False
            conversation.beat()
    finally:
        broken.cancel()
