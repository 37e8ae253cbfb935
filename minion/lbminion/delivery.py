"""Bringing spooled events to the master, in order, until each is acknowledged: go-back-N over the uplink.

The master acknowledges the last event in its journal. What follows is sent in batches, at most `WINDOW` events and
`MESSAGES` batches ahead; when nothing is acknowledged for a while, or the same position twice (the master saw a gap), sending starts again
behind the last acknowledged event. The master skips what it has.

Until the master has said once on a connection what it has, nothing is sent. It says so in answer to the hello: when that, or
the answer, was lost, or the master did not listen to this host yet, it has to be asked again.

Each batch names the event that was sent before it, so that the master sees when one went missing on the way. Numbers that
the spool has given up are missing inside of a batch as well; `events.lost` tells of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from lbwire.messages import Events

from .spool import BATCH, MESSAGES, NOTHING, WINDOW, Position, Spool

PATIENCE_TICKS: Final = 3


class Delivery:
    """Call `connected`, `acknowledged`, `pump` (something new was spooled) and `tick` (every second)."""

    def __init__(self, spool: Spool, send: Callable[[Events], bool]) -> None:
        self._spool, self._send = spool, send
        self._acked: Position | None = None
        self._sent: Position = NOTHING
        self._flying: deque[tuple[Position, int]] = deque()
        self._quiet_ticks = 0

    def connected(self) -> None:
        """A new connection: nothing is sent until the master has said (in answer to the hello) what it has."""
        self._acked, self._quiet_ticks = None, 0
        self._flying.clear()

    def acknowledged(self, position: Position) -> None:
        """The master has everything up to this event."""
        first, repeated = self._acked is None, position == self._acked
        if not first and self._acked is not None and position < self._acked:
            return
        self._acked, self._quiet_ticks = position, 0
        self._spool.acknowledged(position)
        while self._flying and self._flying[0][0] <= position:
            self._flying.popleft()
        if first or (repeated and self._flying):
            self._go_back()
        self.pump()

    def pump(self) -> None:
        """Send what is spooled and not yet sent, as far as the window allows."""
        while self._acked is not None and self._has_room():
            events = self._spool.after(self._sent, BATCH)
            if not events or not self._send(Events(*self._sent, tuple(events))):
                return
            self._sent = (events[-1].boot, events[-1].sequence)
            self._flying.append((self._sent, len(events)))

    def _has_room(self) -> bool:
        return len(self._flying) < MESSAGES and sum(count for _, count in self._flying) < WINDOW

    def tick(self) -> bool:
        """A second has passed: send again what was sent and has not been acknowledged for some time.

        True: the master has not said for some time what it has, and is to be asked once more.
        """
        unanswered = self._acked is None
        if not unanswered and not self._flying:
            self.pump()
            return False
        self._quiet_ticks += 1
        if self._quiet_ticks < PATIENCE_TICKS:
            return False
        self._quiet_ticks = 0
        if not unanswered:
            self._go_back()
            self.pump()
        return unanswered

    def _go_back(self) -> None:
        self._sent = self._acked or NOTHING
        self._flying.clear()
