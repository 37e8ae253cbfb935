"""What the reconciler is asked to do, and what came of it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lbstates.desired import RoleState
from lbstates.plan import Plan

from .policy import Key, Left, Why, key_of


@dataclass(frozen=True, slots=True)
class Stage:
    """Plan a generation that was received, and say what it would change; its release comes later."""

    cluster: str
    generation: int


@dataclass(frozen=True, slots=True)
class Trial:
    """Plan a state that is not kept, and answer the master."""

    cluster: str
    command: int
    state: RoleState


@dataclass(frozen=True, slots=True)
class Look:
    """Compare the host with what was released, and make it so.

    `trigger` says why, in a word for the journal; a `push` also starts a keepalived that somebody stopped, and ends
    contests. `command` is the number of the master's reconcile that is to be answered.
    """

    trigger: str
    cluster: str = ""
    command: int = 0

    @property
    def push(self) -> bool:
        return self.trigger == "push"


Job: TypeAlias = Stage | Trial | Look


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look came to: `plan` is what was tried, `left` what was not and why, `remaining` what did not succeed.

    `unapplied` are the generations (by cluster) that this look was to put in force. `reweighted` are changes of weights
    that follow from what probes found: they are in the plan, but no drift.
    """

    unapplied: Mapping[str, int] = field(default_factory=dict)
    plan: Plan = ()
    left: tuple[Left, ...] = ()
    remaining: Plan = ()
    errors: tuple[str, ...] = ()
    reweighted: frozenset[Key] = frozenset()

    @property
    def healed(self) -> Plan:
        still = {key_of(change) for change in self.remaining}
        return tuple(change for change in self.plan if key_of(change) not in still)

    @property
    def drift(self) -> int:
        """How many changes remain, the ones that were left included; an unreadable host counts as one."""
        return len(self.remaining) + len(self.left) or len(self.errors)

    @property
    def unreadable(self) -> bool:
        """Whether it is not even known what is wrong."""
        return bool(self.errors) and not (self.plan or self.left)

    def without_reweighted(self, changes: Plan) -> Plan:
        """Pick the changes that are about what somebody did to this host."""
        return tuple(it for it in changes if key_of(it) not in self.reweighted) if self.reweighted else changes

    def left_because(self, why: Why) -> Plan:
        """The changes that were not made for this reason."""
        return tuple(change for change, reason in self.left if reason == why)
