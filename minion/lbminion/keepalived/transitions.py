"""FIFO lines -> transitions: what each VRRP instance of this host is, and what it was before.

Pure, and truthful: every change of state is one transition, also the self-inflicted flap (a VIP deleted by hand: BACKUP,
then MASTER again after one skew time, while the peer never moved). That a flap is no failover is for those to say who
see both directors; nothing here waits, so no timers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast, get_args

from .fifo import FifoLine

State: TypeAlias = Literal["MASTER", "BACKUP", "FAULT", "STOP"]
_STATES: Final = frozenset(get_args(State))


@dataclass(frozen=True, slots=True)
class Transition:
    """`previous` is None when the instance was not known before (the minion or the instance is new)."""

    instance: str
    state: State
    priority: int
    previous: State | None


@dataclass(frozen=True, slots=True)
class InstanceStates:
    """The last known state of every instance; a new value for each line."""

    states: Mapping[str, State] = field(default_factory=lambda: MappingProxyType({}))

    def after(self, line: FifoLine) -> tuple[InstanceStates, Transition | None]:
        """Return what is known after this line, and the transition if it is one.

        Groups repeat what their instances say, in no fixed order, and notices (priority changes, a lower priority
        heard) are no states: neither is a transition. Nor is a state that is said twice.
        """
        if not says_state(line):
            return self, None
        state, previous = cast("State", line.word), self.states.get(line.name)
        if state == previous:
            return self, None
        known = MappingProxyType({**self.states, line.name: state})
        return InstanceStates(known), Transition(line.name, state, line.priority, previous)

    def after_dump(self, seen: Mapping[str, tuple[State, int]]) -> tuple[InstanceStates, tuple[Transition, ...]]:
        """Return what is known after a dump (instance -> state, priority), and the transitions nobody told us of.

        A dump is the whole truth: instances that are not in it are forgotten.
        """
        missed = tuple(
            Transition(name, state, priority, self.states.get(name))
            for name, (state, priority) in sorted(seen.items())
            if self.states.get(name) != state
        )
        return InstanceStates(MappingProxyType({name: state for name, (state, _) in seen.items()})), missed

    def after_death(self) -> InstanceStates:
        """Return what is known when keepalived died without a word: nothing is MASTER any more, all is unknown."""
        return InstanceStates()


def says_state(line: FifoLine) -> bool:
    """Tell whether this says what an instance is, be it news or not."""
    return line.subject == "INSTANCE" and line.word in _STATES


def said_stop(lines: Iterable[FifoLine]) -> bool:
    """Tell whether an instance said that it stops."""
    return any(line.subject == "INSTANCE" and line.word == "STOP" for line in lines)
