"""Which events are given up when there is no room for all, and what is told of them. Pure.

The loss stands in the spool as an event of its own, `events.lost`, under the identity of the last event that it counts: all
that it counts lies before it, so that a master that has this identity has either the loss or the events themselves. Losses
that nobody was told of yet become one, so that an outage costs one row however long it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from lbwire.codec import pack, unpack
from lbwire.event_types import decode_data, encode_data
from lbwire.events import EventsLost
from lbwire.messages import Event
from lbwire.worth import Worth, worth_of

Position = tuple[int, int]
"""(boot, sequence) of an event; (0, 0) lies before every event."""

ROW_BYTES: Final = 40
"""What a row costs besides its content, about: its keys, its length, and its place in the index."""
VITAL_TIMES: Final = 2
"""Vital events may take so many times the room that there is for all; beyond that the oldest of them go, too."""
AT_ONCE: Final = 64
"""This part of the room is made free at once, so that a full spool does not search for every event."""


class Row(NamedTuple):
    """An event as it is kept; `packed` is the whole of it."""

    boot: int
    sequence: int
    packed: bytes
    worth: int

    @property
    def position(self) -> Position:
        return self.boot, self.sequence

    @property
    def size(self) -> int:
        return len(self.packed) + ROW_BYTES

    def event(self) -> Event:
        return msgspec.convert(unpack(self.packed), Event)


def row(event: Event) -> Row:
    """Make the row of an event. A loss is kept like what goes first, since it is made one with the next loss."""
    worth = Worth.PASSING if event.type == EventsLost.TYPE else worth_of(event.type)
    return Row(event.boot, event.sequence, pack(msgspec.to_builtins(event)), worth)


def choose(rows: Callable[[Worth], Iterable[Row]], size: int, limit: int) -> list[Row]:
    """Pick what is given up of events that take `size` bytes, with room for `limit`; `rows` gives those of one worth.

    The least worth first, and among equals the oldest. Nothing is picked if that would make no room.
    """
    found: list[Row] = []
    for worth in Worth:
        room = limit * VITAL_TIMES if worth is Worth.VITAL else limit
        if size <= room:
            break
        for one in _until(rows(worth), size - room + limit // AT_ONCE):
            found.append(one)
            size -= one.size
    return found if len(found) > 1 or (found and not _is_loss(found[0].event())) else []


def _until(rows: Iterable[Row], enough: int) -> Iterator[Row]:
    for one in rows:
        yield one
        enough -= one.size
        if enough <= 0:
            return


def told(victims: Sequence[Row]) -> Row:
    """Make the one event that stands for these, which may be losses themselves."""
    events = [victim.event() for victim in victims]
    last = max(events, key=lambda event: (event.boot, event.sequence))
    types: dict[str, int] = {}
    since, until = [], []
    for event in events:
        counts = {event.type: 1}
        begin = end = event.time
        if _is_loss(event):
            loss = decode_data(event.type, event.data)
            assert isinstance(loss, EventsLost)  # noqa: S101 - by its type
            counts, begin, end = loss.types, loss.since, loss.until
        for name, count in counts.items():
            types[name] = types.get(name, 0) + count
        since.append(begin)
        until.append(end)
    clusters = {event.cluster for event in events}
    data = EventsLost(sum(types.values()), dict(sorted(types.items())), min(since), max(until))
    cluster = clusters.pop() if len(clusters) == 1 else ""
    return row(Event(last.boot, last.sequence, EventsLost.TYPE, max(until), cluster, encode_data(data)))


def _is_loss(event: Event) -> bool:
    return event.type == EventsLost.TYPE
