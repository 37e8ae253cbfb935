"""What each type of event carries that a host tells of itself: the schema that subscribers rely on.

A type's name and the meaning of its fields never change; fields may be added. What it tells of real servers' health is in
`health_events`, what the master concludes in `conclusions`, the table of all types in `event_types`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from .messages import Step

Steps = tuple[Step, ...]


class Data(msgspec.Struct, frozen=True):
    """What an event of one type carries."""

    TYPE: ClassVar[str]


class VrrpTransition(Data, frozen=True):
    """A VRRP instance on this host entered MASTER, BACKUP, FAULT or STOP (`previous`: "" at the first sight)."""

    TYPE: ClassVar[str] = "vrrp.transition"
    instance: str
    state: str
    previous: str
    priority: int
    vips: tuple[str, ...] = ()

    @property
    def yields(self) -> bool:
        """Whether it was MASTER until now."""
        return self.previous == "MASTER" != self.state


class DriftFound(Data, frozen=True):
    """The host is not as it shall be although nothing was pushed; `trigger` says what made the minion look.

    Told once for each thing: with `drift: heal` its repair follows, with `drift: report` it stays as it is.
    """

    TYPE: ClassVar[str] = "drift.found"
    trigger: str
    steps: Steps


class DriftHealed(Data, frozen=True):
    """What was found is repaired, and the host was read again to be sure. `seconds`: from the look to the proof."""

    TYPE: ClassVar[str] = "drift.healed"
    trigger: str
    steps: Steps
    seconds: float


class DriftUnhealed(Data, frozen=True):
    """The repair failed or did not last: `remaining` is still to be done, `errors` say what the kernel said."""

    TYPE: ClassVar[str] = "drift.unhealed"
    trigger: str
    remaining: Steps
    errors: tuple[str, ...]


class DriftGone(Data, frozen=True):
    """What was only reported (`drift: report`) is as it shall be again, without our doing."""

    TYPE: ClassVar[str] = "drift.gone"
    steps: Steps


class DriftContested(Data, frozen=True):
    """Somebody keeps changing these things of one `kind` back: repaired `times` times in `seconds`, and broken again.

    The next repair is made `pause` seconds after the last one; told again whenever the pause grows.
    """

    TYPE: ClassVar[str] = "drift.contested"
    kind: str
    identities: tuple[str, ...]
    times: int
    seconds: float
    pause: float


class DriftSettled(Data, frozen=True):
    """What was contested has stayed as it shall be for a while, and is repaired at once from now on."""

    TYPE: ClassVar[str] = "drift.settled"
    kind: str
    identities: tuple[str, ...]
    times: int
    seconds: float


class Foreign(Data, frozen=True):
    """IPVS entries that are none of ours: reported once, left alone."""

    TYPE: ClassVar[str] = "ipvs.foreign"
    identities: tuple[str, ...]


class Adopted(Data, frozen=True):
    """Things that shall be there were there already, before they were ours: kept as they are, and ours from now on."""

    TYPE: ClassVar[str] = "state.adopted"
    kind: str
    identities: tuple[str, ...]


class StateStaged(Data, frozen=True):
    """A generation was verified and planned on this host, and waits for its release."""

    TYPE: ClassVar[str] = "state.staged"
    generation: int
    steps: Steps


class StateApplied(Data, frozen=True):
    """A released generation is in force: applied, and read back. `steps` is what was changed."""

    TYPE: ClassVar[str] = "state.applied"
    generation: int
    steps: Steps
    seconds: float


class StateRefused(Data, frozen=True):
    """A generation cannot be staged or applied here; `reason` names the object and what the host said."""

    TYPE: ClassVar[str] = "state.refused"
    generation: int
    phase: str
    reason: str


class KeepalivedStarted(Data, frozen=True):
    """keepalived runs: started by us, or by somebody else (`by`: minion, operator)."""

    TYPE: ClassVar[str] = "keepalived.started"
    by: str


class KeepalivedStopped(Data, frozen=True):
    """Somebody stopped keepalived in good order: respected until the next push, or until it is started by hand."""

    TYPE: ClassVar[str] = "keepalived.stopped"
    instances: tuple[str, ...]


class KeepalivedDied(Data, frozen=True):
    """keepalived ended without saying so (killed, crashed): its VIPs are taken off this host, then it is restarted."""

    TYPE: ClassVar[str] = "keepalived.died"
    instances: tuple[str, ...]


class ConfigReplaced(Data, frozen=True):
    """A keepalived.conf that was not ours was replaced; the original is kept at `backup`."""

    TYPE: ClassVar[str] = "keepalived.config_replaced"
    path: str
    backup: str


class MinionStarted(Data, frozen=True):
    """The minion began a new boot (its own process, not the host's)."""

    TYPE: ClassVar[str] = "minion.started"
    product: str


class MessageRefused(Data, frozen=True):
    """A message was dropped and changed nothing; `count` of this reason since the last such event."""

    TYPE: ClassVar[str] = "message.refused"
    reason: str
    text: str
    count: int


class EventsLost(Data, frozen=True):
    """Events were given up for want of room, the least important first, of those the oldest; `types`: how many of each.

    All that it counts happened before it. `since` and `until`: the host's clock when the first and the last of them
    happened (Unix, s). The master tells so of its own (`minion` ""), and of what is no longer in its journal (sequence 0):
    there `types` are those it may concern, and at most how many of each.
    """

    TYPE: ClassVar[str] = "events.lost"
    count: int
    types: dict[str, int]
    since: float
    until: float


class MasterSuccessor(Data, frozen=True):
    """This minion has learned the master's next keys (`state` learned), or trusts only them from now on (adopted)."""

    TYPE: ClassVar[str] = "master.successor"
    fingerprint: str
    state: str
