"""Events that only the master may tell: what it concludes of many hosts, and what operators and keys did to it.

A minion that tells one of these is not believed. What a minion tells is in `events` and `health_events`.
"""

from __future__ import annotations

from typing import ClassVar

from .events import Data, Steps


class Conclusion(Data, frozen=True):
    """What an event carries that only the master may say."""


class SplitBrain(Conclusion, frozen=True):
    """*master*: more than one director says MASTER for one VRRP instance, for longer than a handover takes."""

    TYPE: ClassVar[str] = "vrrp.split_brain"
    instance: str
    masters: tuple[str, ...]


class SplitBrainEnded(Conclusion, frozen=True):
    """*master*: at most one director says MASTER again; `seconds` since the split was reported."""

    TYPE: ClassVar[str] = "vrrp.split_brain_ended"
    instance: str
    masters: tuple[str, ...]
    seconds: float


class Failover(Conclusion, frozen=True):
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


class MinionOnline(Conclusion, frozen=True):
    """*master*: a minion is heard of, for the first time or again after it was lost."""

    TYPE: ClassVar[str] = "minion.online"
    product: str
    host: str = ""


class MinionLost(Conclusion, frozen=True):
    """*master*: a minion's lease ran out; `roles` (VRRP instance -> state last heard) are unknown from now on.

    `maintenance`: somebody works on that host, so that nobody need be alarmed.
    """

    TYPE: ClassVar[str] = "minion.lost"
    silent_seconds: float
    roles: dict[str, str]
    host: str = ""
    maintenance: bool = False


class MinionDuplicate(Conclusion, frozen=True):
    """*master*: two minions use one key, so one host was copied from the other; `addresses` are where they are."""

    TYPE: ClassVar[str] = "minion.duplicate"
    addresses: tuple[str, ...]
    host: str = ""


class PushStarted(Conclusion, frozen=True):
    """*master*: a new generation was signed, stored and broadcast to these hosts."""

    TYPE: ClassVar[str] = "push.started"
    generation: int
    hosts: tuple[str, ...]
    by: str


class PushFinished(Conclusion, frozen=True):
    """*master*: a push ended; `outcome` is converged, failed or aborted, `problems` maps a host to what went wrong there."""

    TYPE: ClassVar[str] = "push.finished"
    generation: int
    outcome: str
    seconds: float
    problems: dict[str, str]


class PushWave(Conclusion, frozen=True):
    """*master*: a wave of a rollout was released; `purpose` says which hosts these are."""

    TYPE: ClassVar[str] = "push.wave"
    generation: int
    number: int
    purpose: str
    hosts: tuple[str, ...]


class PushGate(Conclusion, frozen=True):
    """*master*: a gate of a rollout did not pass: `problems` say what hurts, and no further wave is released."""

    TYPE: ClassVar[str] = "push.gate"
    generation: int
    wave: int
    problems: tuple[str, ...]


class PushPaused(Conclusion, frozen=True):
    """*master*: a rollout waits for an operator (`resumed` False), or goes on again."""

    TYPE: ClassVar[str] = "push.paused"
    generation: int
    wave: int
    resumed: bool
    by: str


class PushRolledBack(Conclusion, frozen=True):
    """*master*: a generation was taken back by another with the content of `content_of` (`outcome`: converged, failed)."""

    TYPE: ClassVar[str] = "push.rolled_back"
    generation: int
    by_generation: int
    content_of: int
    outcome: str
    reason: str


class OperatorActed(Conclusion, frozen=True):
    """*master*: somebody changed something by a verb: who (`by`), from where (`origin`), what, and why."""

    TYPE: ClassVar[str] = "operator.acted"
    verb: str
    by: str
    origin: str
    what: str
    reason: str


class KeyRotated(Conclusion, frozen=True):
    """*master*: a minion has replaced its key by another, proven by the old one."""

    TYPE: ClassVar[str] = "key.rotated"
    fingerprint: str
    previous: str
    host: str = ""


class KeyPending(Conclusion, frozen=True):
    """*master*: an unknown minion asks to join; nothing is sent to it until its key is accepted."""

    TYPE: ClassVar[str] = "key.pending"
    fingerprint: str
    host: str = ""


class KeyAccepted(Conclusion, frozen=True):
    """*master*: a key was accepted, of a minion or a client.

    `by`: operator or token; of a client's key its role. `host`: the name of whose key it is.
    """

    TYPE: ClassVar[str] = "key.accepted"
    fingerprint: str
    by: str
    host: str = ""


class KeyRevoked(Conclusion, frozen=True):
    """*master*: a minion's key was rejected or revoked, or a client's (`host` is its name) was revoked."""

    TYPE: ClassVar[str] = "key.revoked"
    fingerprint: str
    host: str = ""
