"""What a fault is: a small value that says what is done, what it may cost, and what a subscriber hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from tests.faults.allowance import Losing
from tests.faults.field import Act, Field


@dataclass(frozen=True)
class Told:
    """An event that a subscriber has to hear of: its type, whose it is ("": the master's; None: any), data that it has."""

    type: str
    minion: str | None = None
    data: MappingProxyType[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def told(event_type: str, minion: str | None = None, **data: object) -> Told:
    """Write a `Told` in one line."""
    return Told(event_type, minion, MappingProxyType(data))


def nothing(_: Field) -> None:
    """Leave the field as it is: a fault that ends by itself."""


def no_remark(_: Field, __: Course) -> str:
    """Find nothing more to say."""
    return ""


@dataclass(frozen=True)
class Course:
    """How a fault went so far: the subscriber's cursor before it, and Unix times."""

    cursor: int
    begun: float
    done: float
    undone: float


Look = Callable[[Field, Course], str]
"""Looks closer at what came of a fault. Returns a remark for the table; raises `Unexpected`."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    `do` breaks something, `undo` mends what does not mend itself. Between the two lie at least `lasts` seconds, all
    events of `meanwhile` are heard, and `during` is done; those of `after` follow. `losing` is what may be lost. `both` is for how many seconds
    two directors may have the VIP. `look` checks what is special. `expect` says in a sentence what an operator sees.
    `short`: part of every test run, not only of the long one. `random`: may happen in a row of pushes (it makes none).
    """

    name: str
    expect: str
    do: Act
    undo: Act = nothing
    during: Act = nothing
    losing: Losing = Losing.NOTHING
    meanwhile: tuple[Told, ...] = ()
    after: tuple[Told, ...] = ()
    never: tuple[str, ...] = ()
    lasts: float = 2.0
    both: float = 1.0
    within: float = 45.0
    look: Look = no_remark
    short: bool = False
    random: bool = True
    in_flight: int = 0
    """Requests that each move of a VIP may cost because they were on their way: IPVS hands a connection over with a delay."""


CALM: Final = ("vrrp.split_brain", "failover", "keepalived.died", "drift.unhealed", "state.refused")
"""What must not be told of a fault that has nothing to do with directors."""
