"""What the master answers, typed: the CLI's view of the control protocol.

Unknown fields are skipped and missing ones have a default, so that a CLI can talk to a master of the next release.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lbmaster.conversation import Json, NotUnderstood
from lbwire.messages import Statistics, Step

Steps = tuple[Step, ...]
Shape = TypeVar("Shape", bound=msgspec.Struct)


class Answer(msgspec.Struct, frozen=True):
    """Base: frozen, unknown fields skipped."""


class Finding(Answer, frozen=True):
    """Something in the cluster file: `severity` is error or warning; `line` 0 means the file as a whole."""

    wrong: str
    right: str = ""
    line: int | None = 0
    field: str = ""
    severity: str = "error"


class Key(Answer, frozen=True):
    """A minion's key. `since` is Unix time, `last_seen` seconds ago (None: never)."""

    name: str
    fingerprint: str
    state: str
    since: float = 0.0
    last_seen: float | None = None
    address: str | None = ""


class Keys(Answer, frozen=True):
    """The answer to keys.list."""

    keys: tuple[Key, ...]


class Token(Answer, frozen=True):
    """The answer to keys.token; `expires` is Unix time."""

    token: str
    expires: float


class PlannedHost(Answer, frozen=True):
    """What one host would change, or why it cannot say."""

    steps: Steps = ()
    error: str | None = ""


class Plan(Answer, frozen=True):
    """The answer to plan; `findings` are warnings."""

    cluster: str
    hosts: dict[str, PlannedHost]
    findings: tuple[Finding, ...] = ()


class PushNote(Answer, frozen=True):
    """One happening of a rollout, of a host or (`host` "") of all `hosts`; `steps` is how many changes, or which."""

    phase: str
    host: str | None = ""
    hosts: tuple[str, ...] = ()
    generation: int | None = 0
    wave: int | str | None = None
    steps: int | Steps | None = None
    error: str | None = ""
    seconds: float | None = None

    @property
    def changes(self) -> int | None:
        return sum(step.count for step in self.steps) if isinstance(self.steps, tuple) else self.steps


class PushedHost(Answer, frozen=True):
    """How a host ended."""

    state: str
    steps: Steps = ()
    seconds: float | None = None
    problem: str | None = ""


class Push(Answer, frozen=True):
    """The answer to push; `outcome` is converged or failed."""

    cluster: str
    generation: int
    outcome: str
    hosts: dict[str, PushedHost]
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()


class Vip(Answer, frozen=True):
    """Who holds a VIP. More than one of `masters` is a split brain."""

    instance: str = ""
    holder: str | None = None
    masters: tuple[str, ...] = ()


class HostRole(Answer, frozen=True):
    """What a director is in one VRRP instance."""

    state: str
    priority: int | None = 0


class Host(Answer, frozen=True):
    """One host of a cluster. `last_seen`: seconds ago (None: never). `drift`: changes found and not healed."""

    role: str = ""
    online: bool = False
    last_seen: float | None = None
    staged: int = 0
    applied: int = 0
    drift: int = 0
    roles: dict[str, HostRole] = {}
    keepalived: str | None = ""
    product: str | None = ""
    note: str | None = ""


class Rollout(Answer, frozen=True):
    """A push on its way."""

    generation: int = 0
    phase: str = ""


class Cluster(Answer, frozen=True):
    """One cluster as the master knows it; `released` is the generation that its hosts shall have applied."""

    generation: int = 0
    released: int = 0
    vips: dict[str, Vip] = {}
    rollout: Rollout | None = None
    hosts: dict[str, Host] = {}


class Status(Answer, frozen=True):
    """The answer to status; `time` is the master's clock."""

    clusters: dict[str, Cluster]
    time: float = 0.0
    unassigned: tuple[str, ...] = ()


class DirectorFigures(Answer, frozen=True):
    """The newest sample of one director; `age` in seconds, None: there is none."""

    age: float | None = None
    services: tuple[Statistics, ...] = ()
    destinations: tuple[Statistics, ...] = ()


class Stats(Answer, frozen=True):
    """The answer to stats: cluster -> director -> figures."""

    clusters: dict[str, dict[str, DirectorFigures]]


class Symptom(Answer, frozen=True):
    """One thing that is, or may become, wrong: `id` is that of a pitfall, `severity` error, warning or info."""

    id: str
    severity: str = "error"
    subject: str = ""
    seen: str = ""
    means: str = ""
    repair: str = ""


class BetweenHosts(Symptom, frozen=True):
    """A symptom that shows when hosts are compared."""

    hosts: tuple[str, ...] = ()


class ExaminedHost(Answer, frozen=True):
    """What a host found, why it could not look, or that it did not answer."""

    symptoms: tuple[Symptom, ...] = ()
    error: str = ""
    silent: bool = False


class ExaminedCluster(Answer, frozen=True):
    """The hosts of a cluster, and what shows between them."""

    hosts: dict[str, ExaminedHost] = {}
    between: tuple[BetweenHosts, ...] = ()


class Examined(Answer, frozen=True):
    """The answer to doctor."""

    clusters: dict[str, ExaminedCluster]


class ReconciledHost(Answer, frozen=True):
    """What a host healed, how much remains, or that it did not answer."""

    healed: Steps = ()
    remaining: int = 0
    silent: bool = False


class Reconciled(Answer, frozen=True):
    """The answer to reconcile."""

    cluster: str
    hosts: dict[str, ReconciledHost]


def read(answer: Json, shape: type[Shape]) -> Shape:
    """Give an answer its type; raises `NotUnderstood`, which names the place."""
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        raise NotUnderstood(
            f"the master's answer is not understood: {error}; are both of the same release (lbmaster --version)?"
        ) from error
