"""When to give way to somebody who keeps changing a thing back: decides from times alone, and touches nothing.

A repair is made at once. What has been broken again after each of `FREE` repairs within `WINDOW` is contested: it is
repaired after a pause that doubles with every further time, so that two writers do not fight at full speed, and a person
has time to hear of it. What then stays as it shall be for a while is settled, and repaired at once again.
Kept in memory only: a minion that starts anew begins anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

FREE: Final = 3
"""Repairs of one thing within `WINDOW` that need no pause."""
WINDOW: Final = 60.0
"""Seconds."""
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 300.0


class Contested(NamedTuple, Generic[Key]):
    """Things that were repaired `times` times in `seconds` and are broken again; the next repair is in `pause` seconds."""

    keys: tuple[Key, ...]
    times: int
    seconds: float
    pause: float


class Settled(NamedTuple, Generic[Key]):
    """Things that were contested for `seconds`, and have stayed as they shall be since."""

    keys: tuple[Key, ...]
    times: int
    seconds: float


@dataclass(slots=True)
class _History:
    """One thing's repairs. `until`: when it may be repaired again; `judged`: that is decided for the present damage."""

    begun: float
    repairs: deque[float] = field(default_factory=lambda: deque(maxlen=FREE))
    times: int = 0
    pause: float = 0.0
    until: float = 0.0
    judged: bool = False

    def quiet_after(self) -> float:
        """When it counts as settled, if nothing happens to it until then."""
        return max(self.repairs[-1], self.until) + max(WINDOW, 2 * self.pause)


class Contests(Generic[Key]):
    """The things that were repaired lately. Times are seconds of one clock that only goes forward."""

    def __init__(self) -> None:
        self._histories: dict[Key, _History] = {}
        self._broken: set[Key] = set()
        self._waiting: frozenset[Key] = frozenset()

    def judge(self, broken: Collection[Key], now: float) -> tuple[frozenset[Key], tuple[Contested[Key], ...]]:
        """Say which of the broken things have to wait, and what has become worse since the last time."""
        self._broken = {key for key in broken if key in self._histories}
        waiting: set[Key] = set()
        worse: dict[float, list[Key]] = {}
        for key in self._broken:
            history = self._histories[key]
            if not history.judged and self._provoke(history, now):
                worse.setdefault(history.pause, []).append(key)
            if history.until > now:
                waiting.add(key)
        self._waiting = frozenset(waiting)
        return self._waiting, tuple(self._contested(keys, pause, now) for pause, keys in sorted(worse.items()))

    @staticmethod
    def _provoke(history: _History, now: float) -> bool:
        """It is broken again; returns whether that makes it contested, or more so."""
        history.judged = True
        lately = len(history.repairs) == FREE and now - history.repairs[0] <= WINDOW
        if not history.pause and not lately:
            return False
        history.pause = min(2 * history.pause, LONGEST_PAUSE) or FIRST_PAUSE
        history.until = history.repairs[-1] + history.pause
        return True

    def _contested(self, keys: list[Key], pause: float, now: float) -> Contested[Key]:
        histories = [self._histories[key] for key in keys]
        begun = min(history.begun for history in histories)
        return Contested(tuple(keys), max(history.times for history in histories), now - begun, pause)

    def repaired(self, keys: Iterable[Key], now: float) -> None:
        """Note that these are as they shall be again, by our doing."""
        for key in keys:
            history = self._histories.setdefault(key, _History(now))
            history.repairs.append(now)
            history.times += 1
            history.judged = False
            self._broken.discard(key)

    def settle(self, now: float) -> tuple[Settled[Key], ...]:
        """Forget what nobody touched for long enough; returns what was contested of that."""
        quiet = {
            key: history
            for key, history in self._histories.items()
            if key not in self._broken and history.quiet_after() < now
        }
        for key in quiet:
            del self._histories[key]
        calm = {key: history for key, history in quiet.items() if history.pause}
        if not calm:
            return ()
        times = max(history.times for history in calm.values())
        return (Settled(tuple(calm), times, now - min(history.begun for history in calm.values())),)

    def due(self, now: float) -> bool:
        """Whether the pause of something that has to wait is over."""
        return any(self._histories[key].until <= now for key in self._waiting)

    def reset(self) -> None:
        """Begin anew: somebody decided anew what shall be."""
        self._histories.clear()
        self._broken.clear()
        self._waiting = frozenset()
