"""Subscribing to the master's events from Python.

    async for event in lbmaster.client.events(since=last_cursor):
        ...

Needs nothing but the standard library, unless a master on another host is asked. `call` and `request` (blocking) ask the
master anything else; see `lbmaster.conversation`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from .conversation import call, request, unreachable
from .protocol import (
    CONTROL_SOCKET,
    EVENTS_SOCKET,
    LINE_LIMIT,
    BrokenOff,
    ConversationError,
    Json,
    NotUnderstood,
    Remote,
    RequestRefused,
    Unreachable,
    Where,
    decode_answer,
    encode_request,
)

if TYPE_CHECKING:
    from .network import Answers

__all__ = [
    "CONTROL_SOCKET",
    "EVENTS_SOCKET",
    "BrokenOff",
    "ConversationError",
    "Event",
    "NotUnderstood",
    "RequestRefused",
    "Unreachable",
    "call",
    "events",
    "request",
]

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the journal.

    `cursor` is its place in the journal: keep that of the last event you have dealt with, and hand it to `events` as
    `since`. `minion`, `boot` and `sequence` are its identity from the minion's disk to here (`minion` is "" for what
    the master itself concludes). `time` is the host's clock and `received` the master's, both Unix time in seconds.
    What `data` holds depends on `type`: docs/events.md.
    """

    cursor: int
    minion: str
    boot: int
    sequence: int
    type: str
    time: float
    received: float
    cluster: str
    data: Mapping[str, Any]


async def events(
    since: int | None = None,
    *,
    follow: bool = True,
    types: Sequence[str] = (),
    hosts: Sequence[str] = (),
    cluster: str | None = None,
    limit: int | None = None,
    socket: str | os.PathLike[str] | Remote = EVENTS_SOCKET,
    master: str = "",
    key: str | os.PathLike[str] | None = None,
) -> AsyncGenerator[Event, None]:
    """Yield the events after the cursor `since`, each once, in the journal's order.

    `since`: 0 is the beginning of the journal; None, when following, is "only what comes from now on" (from the first
    connection, if the master does not run yet), and otherwise the newest `limit` events. `types` are glob patterns
    ("vrrp.*"); an event passes when it fits any of `types` and any of `hosts` (empty: all), and the cluster.
    `limit` ends it after so many events. `key` is a file of `lbmaster keys client`: the master is then asked over the
    network, at `master` (HOST[:PORT]; "" is what the file says), and no longer at `socket`.

    With `follow` it never ends by itself: while the master is down it waits, and resumes after the last event that it
    yielded. Raises `Unreachable` when this user may not open the socket (and, without `follow`, when nobody listens),
    `RequestRefused` when the master does not accept the request, `NotUnderstood` when that is no lbmaster.
    """
    path = _where(socket, master, key)
    wanted: Json = {"types": list(types) or None, "hosts": list(hosts) or None, "cluster": cluster}
    if not follow:
        async with _answers(path, {**wanted, "since": since, "limit": limit, "follow": False}) as answers:
            while (note := await answers.note()) is not None:
                yield _event(note)
        return
    given, pause = 0, FIRST_PAUSE
    while limit is None or given < limit:
        try:
            if since is None:
                since = await _newest(path, wanted)
            async with _answers(path, {**wanted, "since": since, "follow": True}) as answers:
                while (note := await answers.note()) is not None:
                    event = _event(note)
                    if event.cursor <= since:
                        continue
                    since, given, pause = event.cursor, given + 1, FIRST_PAUSE
                    yield event
                    if given == limit:
                        return
        except (Unreachable, BrokenOff) as error:
            if isinstance(error, Unreachable) and error.denied:
                raise
            log.info("%s; trying again", error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _where(socket: str | os.PathLike[str] | Remote, master: str, key: str | os.PathLike[str] | None) -> Where:
    if key is None:
        return socket if isinstance(socket, Remote) else Path(socket)
    from .network import read_key  # noqa: PLC0415 - the standard library is enough for a socket

    return read_key(Path(key), master)


async def _newest(path: Where, wanted: Json) -> int:
    """Ask where the journal ends: a subscriber that starts "now" needs a cursor to resume from before its first event."""
    async with _answers(path, {**wanted, "limit": 0, "follow": False}) as answers:
        while await answers.note() is not None:
            pass
        cursor = answers.result.get("cursor")
    if not isinstance(cursor, int):
        raise NotUnderstood(f"the master at {path} does not say where its journal ends; are both of the same release?")
    return cursor


def _event(note: Json) -> Event:
    """Make an event of a note; a newer master may say more of an event than this release knows."""
    try:
        return Event(**{name: note[name] for name in Event.__slots__})
    except KeyError as error:
        raise NotUnderstood(f"an event without {error}; are the master and this client of the same release?") from None


def _answers(where: Where, arguments: Json) -> _Answers | Answers:
    if isinstance(where, Remote):
        from .network import Answers  # noqa: PLC0415 - the standard library is enough for a socket

        return Answers(where, encode_request("events", arguments))
    return _Answers(where, arguments)


class _Answers:
    """One `events` request. No generator: Python cannot close one inside another in order when the loop ends."""

    def __init__(self, path: Path, arguments: Json) -> None:
        self._path = path
        self._line = encode_request("events", arguments)
        self.result: Json = {}

    async def __aenter__(self) -> Self:
        """Connect and ask; raises `Unreachable`."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
        except OSError as error:
            raise unreachable(self._path, error) from None
        self._writer.write(self._line)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def note(self) -> Json | None:
        """Wait for the next note; None after the last one. Raises `BrokenOff`, `RequestRefused`, `NotUnderstood`."""
        try:
            line = await self._reader.readline()
        except ConnectionError as error:
            raise BrokenOff(f"the master at {self._path} hung up: {error.strerror}") from None
        except ValueError:
            raise NotUnderstood(f"a line of the master's answer has more than {LINE_LIMIT} bytes") from None
        if not line.endswith(b"\n"):
            raise BrokenOff(f"the master at {self._path} ended the stream")
        note, result = decode_answer(line)
        if result is None:
            return note
        self.result = result
        return None
