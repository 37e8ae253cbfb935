"""With which keys the connection is tried: this host's own (an old and a new one while it is replaced), and the master's.

A new key of this host lies beside the old one until the master has let a connection with it in. The master is told of it
over a connection that the old key proves. Whatever is interrupted, and wherever: what can be tried is tried in turn, and
either key works until the new one was used.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lbservice.files import sync_directory
from lbservice.keys import CurvePair, load_or_make_curve
from lbwire.messages import Rotate

logger = logging.getLogger(__name__)

PATIENCE_TICKS: Final = 5
"""So long a connection is tried with the same keys."""
SETTLE_TICKS: Final = 2
"""So long the master has to keep the new key, before a connection is tried with it."""


def next_path(current: Path) -> Path:
    """Where the key lies that is to take the place of another."""
    return current.with_name(current.name + ".next")


class Rotation:
    """Call `tick` every second. `rekey` connects anew with (own keys, the master's transport key), `send` is the link's."""

    def __init__(
        self,
        path: Path,
        transports: Callable[[], tuple[bytes, ...]],
        rekey: Callable[[CurvePair, bytes], None],
        send: Callable[[Rotate], bool],
    ) -> None:
        self._path, self._transports, self._rekey, self._send = path, transports, rekey, send
        self.own = load_or_make_curve(path)
        self._using = (self.own, transports()[0])
        self._offline = self._told = 0

    def start(self) -> None:
        """Set what the link begins with."""
        self._rekey(*self._using)

    def tick(self, *, online: bool) -> None:
        """Go on: tell the master of a new key, try it, keep it; and where nobody answers, try what else there is."""
        try:
            following = next_path(self._path)
            new = load_or_make_curve(following) if following.exists() else None
        except (OSError, ValueError) as error:
            # What cannot be read now must not end the service: a rotation can wait, the host cannot.
            logger.error("the next key of this host cannot be read: %s", error)  # noqa: TRY400 - no bug
            return
        if online:
            self._offline = 0
            self._go_on(new)
            return
        self._offline, self._told = self._offline + 1, 0
        if self._offline < PATIENCE_TICKS:
            return
        self._offline = 0
        ways = [*itertools.product([self.own, *([new] if new else [])], self._transports())]
        if len(ways) > 1 or self._using not in ways:
            place = ways.index(self._using) + 1 if self._using in ways else 0
            self._use(ways[place % len(ways)])

    def _go_on(self, new: CurvePair | None) -> None:
        if new is None:
            return
        if self._using[0] == new:
            self._settle(new)
        elif self._told > SETTLE_TICKS:
            self._told = 0
            self._use((new, self._using[1]))
        elif self._told or self._send(Rotate(new.public)):
            self._told += 1

    def _settle(self, new: CurvePair) -> None:
        """Put the key that the master has let in into the old one's place; if it cannot be done, the next tick tries again."""
        try:
            next_path(self._path).replace(self._path)
            self.own, self._told = new, 0
            logger.info("this host's key was replaced")
            # It is in place in any case. Should a power cut undo that, both keys are tried again.
            sync_directory(self._path.parent)
        except OSError as error:
            logger.error("the new key of this host cannot be kept in the old one's place: %s", error)  # noqa: TRY400

    def _use(self, way: tuple[CurvePair, bytes]) -> None:
        self._using = way
        self._rekey(*way)
