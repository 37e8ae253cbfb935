"""How a generation is rolled out, decided before its first message and kept with it: a master that comes back goes on alike.

Pure values; which hosts are in which wave is decided by `waves`, what is done on the way by `rollout`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lbstates.desired import RoleState, decode_state

from .gates import Sight
from .requests import Kind, Options
from .rollout import Rollout
from .waves import Waves


class Course(msgspec.Struct, frozen=True):
    """`base`: the generation whose content is gone back to (0: none). `before`: what was seen when it began.

    `optional` hosts hold up nobody; `missing` were away, and allowed to be. `after`: the states of the generation that
    follows this one (a bridge), with the `kind` of the request; `moves`: where VIPs go first, VRRP instance -> director. `pauses`: the waves
    behind which an operator wants to be waited for since it began. `forgiving`: it takes another generation back: `undoes`.
    """

    options: Options = Options()
    waves: Waves = ()
    base: int = 0
    before: Sight = Sight()
    optional: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    after: dict[str, dict[str, Any]] | None = None
    moves: dict[str, str] = {}
    kind: Kind = "push"
    pauses: tuple[int, ...] = ()
    forgiving: bool = False
    undoes: int = 0

    def encode(self) -> bytes:
        """Write it as JSON."""
        return msgspec.json.encode(self)

    def states_after(self) -> dict[str, RoleState] | None:
        """Return the states that follow; raises `lbstates.errors.BadState`."""
        return None if self.after is None else {role: decode_state(state) for role, state in self.after.items()}

    @property
    def stops(self) -> frozenset[int]:
        """The numbers of the waves behind which an operator is waited for."""
        pause = self.options.pause
        waits = range(1, len(self.waves)) if pause == "every wave" else range(1, 2) if pause else ()
        return frozenset((*waits, *self.pauses))

    def rollout(self, now: float, seconds: float, *, approved: int = 0, lost: frozenset[str] = frozenset()) -> Rollout:
        """Begin; `lost` are hosts that are known to be away."""
        options = self.options
        return Rollout(
            self.waves,
            now + seconds,
            wave_timeout=options.wave_timeout,
            gates=options.gates,
            pauses=self.stops,
            approved=approved,
            drain=options.drain if self.after is not None else 0.0,
            optional=frozenset(self.optional),
            forgiving=self.forgiving,
            since=now,
            lost=lost,
        )


def decode(raw: bytes) -> Course:
    """Read what `encode` wrote; raises `msgspec.ValidationError` (a `ValueError`)."""
    return msgspec.json.decode(raw, type=Course)
