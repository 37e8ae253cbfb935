"""Which of the events that a minion sends belong into the journal: each once, in order, and true to its type. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from lbwire.conclusions import Conclusion
from lbwire.errors import Malformed
from lbwire.event_types import EVENT_TYPES, decode_data, encode_data
from lbwire.events import MessageRefused
from lbwire.messages import Event, Events

from .journal import Entry, Position

NOTHING: Final[Position] = (0, 0)
MOST_DATA: Final = 256 * 1024
"""Bytes of one event's data in the journal."""


class Admitted(msgspec.Struct, frozen=True):
    """`events` follow what is in the journal; `gap`: something before them is missing, so none was taken."""

    events: tuple[Event, ...]
    gap: bool = False


def admit(message: Events, last: Position) -> Admitted:
    """Pick what is new. Raises `Malformed` for events that are not in order.

    Numbers may be missing between them: those the minion gave up for want of room, and an `events.lost` counts them.
    """
    before = (message.after_boot, message.after_sequence)
    previous = before
    for event in message.events:
        identity = (event.boot, event.sequence)
        if identity <= previous:
            raise Malformed(f"event {identity} does not follow {previous}")
        previous = identity
    if before != NOTHING and before > last:
        return Admitted((), gap=True)
    return Admitted(tuple(event for event in message.events if (event.boot, event.sequence) > last))


def entry(event: Event, enrolment: int, minion: str, received: float) -> Entry:
    """Make the journal's entry. What is not true to its type stands there as refused: the sequence has no hole."""
    event_type, data = event.type, event.data
    wrong = _wrong_with(event)
    packed = msgspec.json.encode(data) if not wrong else b""
    if len(packed) > MOST_DATA:
        wrong = f"its data has {len(packed)} bytes, the limit is {MOST_DATA}"
    if wrong:
        refused = MessageRefused(Malformed.reason, f"event {event_type} of {minion}: {wrong}"[:1000], 1)
        event_type, packed = MessageRefused.TYPE, msgspec.json.encode(encode_data(refused))
    return Entry(enrolment, minion, event.boot, event.sequence, event_type, event.time, received, event.cluster, packed)


def _wrong_with(event: Event) -> str:
    if event.type not in EVENT_TYPES:
        return ""
    if issubclass(EVENT_TYPES[event.type], Conclusion):
        return "only the master says this"
    try:
        decode_data(event.type, event.data)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
