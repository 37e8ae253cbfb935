"""Subscribing to the master's events from Python.

    async for event in lbmaster.client.events(since=last_cursor):
        ...

Needs nothing but the standard library. `call` and `request` (blocking) ask the master anything else; see
`lbmaster.conversation`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .conversation import (
    CONTROL_SOCKET,
    EVENTS_SOCKET,
    LINE_LIMIT,
    BrokenOff,
    ConversationError,
    Json,
    NotUnderstood,
    RequestRefused,
    Unreachable,
    call,
    decode_answer,
    encode_request,
    request,
    unreachable,
)

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
    socket: str | os.PathLike[str] = EVENTS_SOCKET,
) -> AsyncGenerator[Event, None]:
    """Yield the events after the cursor `since`, each once, in the journal's order.

    `since`: 0 is the beginning of the journal; None, when following, is "only what comes from now on" (from the first
    connection, if the master does not run yet), and otherwise the newest `limit` events. `types` are glob patterns
    ("vrrp.*"); an event passes when it fits any of `types` and any of `hosts` (empty: all), and the cluster.
    `limit` ends it after so many events.

    With `follow` it never ends by itself: while the master is down it waits, and resumes after the last event that it
    yielded. Raises `Unreachable` when this user may not open the socket (and, without `follow`, when nobody listens),
    `RequestRefused` when the master does not accept the request, `NotUnderstood` when that is no lbmaster.
    """
    path = Path(socket)
    wanted: Json = {"types": list(types) or None, "hosts": list(hosts) or None, "cluster": cluster}
    if not follow:
        async for event in _read(path, {**wanted, "since": since, "limit": limit, "follow": False}):
            yield event
        return
    given, pause = 0, FIRST_PAUSE
    while limit is None or given < limit:
        try:
            if since is None:
                since = await _newest(path, wanted)
            async with aclosing(_read(path, {**wanted, "since": since, "follow": True})) as stream:
                async for event in stream:
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


async def _newest(path: Path, wanted: Json) -> int:
    """Ask where the journal ends: a subscriber that starts "now" needs a cursor to resume from before its first event."""
    async with aclosing(_answers(path, {**wanted, "limit": 0, "follow": False})) as answers:
        async for _, result in answers:
            if result is not None and isinstance(cursor := result.get("cursor"), int):
                return cursor
    raise NotUnderstood(f"the master at {path} does not say where its journal ends; are both of the same release?")


async def _read(path: Path, arguments: Json) -> AsyncGenerator[Event, None]:
    async with aclosing(_answers(path, arguments)) as answers:
        async for note, result in answers:
            if result is not None:
                return
            yield _event(note)


def _event(note: Json) -> Event:
    try:
        return Event(**note)
    except TypeError:
        pass
    # A newer master may say more of an event than this release knows.
    try:
        return Event(**{name: note[name] for name in Event.__slots__})
    except KeyError as error:
        raise NotUnderstood(f"an event without {error}; are the master and this client of the same release?") from None


async def _answers(path: Path, arguments: Json) -> AsyncGenerator[tuple[Json, Json | None], None]:
    """Yield (note, None) until the one (-, result), then end. Raises `Unreachable`, `BrokenOff`, `RequestRefused`."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
    except OSError as error:
        raise unreachable(path, error) from None
    try:
        writer.write(encode_request("events", arguments))
        while line := await reader.readline():
            if not line.endswith(b"\n"):
                break
            note, result = decode_answer(line)
            yield note, result
            if result is not None:
                return
        raise BrokenOff(f"the master at {path} ended the stream")
    except ConnectionError as error:
        raise BrokenOff(f"the master at {path} hung up: {error.strerror}") from None
    except ValueError:
        raise NotUnderstood(f"a line of the master's answer has more than {LINE_LIMIT} bytes") from None
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
