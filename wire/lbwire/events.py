"""The types of event and what each carries: the schema that subscribers rely on.

`docs/events.md` is the same table for people; a test compares the two. A type's name and the meaning of its fields
never change; fields may be added. Everything that is true of a host comes from its minion; the types marked *master*
are conclusions that the master draws.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

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


class SplitBrain(Data, frozen=True):
    """*master*: more than one director says MASTER for one VRRP instance, for longer than a handover takes."""

    TYPE: ClassVar[str] = "vrrp.split_brain"
    instance: str
    masters: tuple[str, ...]


class SplitBrainEnded(Data, frozen=True):
    """*master*: at most one director says MASTER again; `seconds` since the split was reported."""

    TYPE: ClassVar[str] = "vrrp.split_brain_ended"
    instance: str
    masters: tuple[str, ...]
    seconds: float


class Failover(Data, frozen=True):
    """*master*: a VIP's MASTER moved from one director ("": nobody known) to another, and the cluster was compared.

    `seconds`: from the transition's arrival at the master until the last reachable minion had reconciled. `healed`
    lists, per host, what was repaired then; `silent` the hosts that did not answer in time.
    """

    TYPE: ClassVar[str] = "failover"
    instance: str
    vips: tuple[str, ...]
    source: str
    target: str
    seconds: float
    healed: dict[str, Steps]
    silent: tuple[str, ...]


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


class MinionOnline(Data, frozen=True):
    """*master*: a minion is heard of, for the first time or again after it was lost."""

    TYPE: ClassVar[str] = "minion.online"
    product: str
    host: str = ""


class MinionLost(Data, frozen=True):
    """*master*: a minion's lease ran out; `roles` (VRRP instance -> state last heard) are unknown from now on."""

    TYPE: ClassVar[str] = "minion.lost"
    silent_seconds: float
    roles: dict[str, str]
    host: str = ""


class MessageRefused(Data, frozen=True):
    """A message was dropped and changed nothing; `count` of this reason since the last such event."""

    TYPE: ClassVar[str] = "message.refused"
    reason: str
    text: str
    count: int


class PushStarted(Data, frozen=True):
    """*master*: a new generation was signed, stored and broadcast to these hosts."""

    TYPE: ClassVar[str] = "push.started"
    generation: int
    hosts: tuple[str, ...]
    by: str


class PushFinished(Data, frozen=True):
    """*master*: a push ended; `outcome` is converged or failed, `problems` maps a host to what went wrong there."""

    TYPE: ClassVar[str] = "push.finished"
    generation: int
    outcome: str
    seconds: float
    problems: dict[str, str]


class KeyPending(Data, frozen=True):
    """*master*: an unknown minion asks to join; nothing is sent to it until its key is accepted."""

    TYPE: ClassVar[str] = "key.pending"
    fingerprint: str
    host: str = ""


class KeyAccepted(Data, frozen=True):
    """*master*: a minion's key was accepted, by an operator or by a token."""

    TYPE: ClassVar[str] = "key.accepted"
    fingerprint: str
    by: str
    host: str = ""


class KeyRevoked(Data, frozen=True):
    """*master*: a minion's key was rejected or revoked."""

    TYPE: ClassVar[str] = "key.revoked"
    fingerprint: str
    host: str = ""


EVENT_TYPES: Final[dict[str, type[Data]]] = {
    data.TYPE: data
    for data in (
        VrrpTransition, SplitBrain, SplitBrainEnded, Failover,
        DriftFound, DriftHealed, DriftUnhealed, DriftGone, DriftContested, DriftSettled, Foreign,
        Adopted, StateStaged, StateApplied, StateRefused,
        KeepalivedStarted, KeepalivedStopped, KeepalivedDied, ConfigReplaced,
        MinionStarted, MinionOnline, MinionLost, MessageRefused,
        PushStarted, PushFinished, KeyPending, KeyAccepted, KeyRevoked,
    )
}  # fmt: skip


def encode_data(data: Data) -> dict[str, Any]:
    """Turn the data of an event into plain values, as `Event.data` carries them."""
    plain: dict[str, Any] = msgspec.to_builtins(data)
    return plain


def decode_data(event_type: str, plain: dict[str, Any]) -> Data:
    """Turn plain values back; raises `KeyError` for an unknown type, `msgspec.ValidationError` for other shapes."""
    return msgspec.convert(plain, EVENT_TYPES[event_type])
