"""What the master answers, typed: the CLI's view of the control protocol.

Unknown fields are skipped and missing ones have a default, so that a CLI can talk to a master of the next release.
Here are what all answers have in common, and those that are about neither pushes (`answers_rollout`) nor how clusters are
(`answers_status`).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lbmaster.protocol import Json, NotUnderstood
from lbwire.messages import Statistics, Step

Steps = tuple[Step, ...]
Shape = TypeVar("Shape", bound=msgspec.Struct)


class Answer(msgspec.Struct, frozen=True):
    """Base: frozen, unknown fields skipped."""


class Finding(Answer, frozen=True):
    """Something in the cluster file: `severity` is error, warning or info; `line` 0 means the file as a whole."""

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


class ClientKey(Key, frozen=True):
    """The key of a person or program that asks over the network."""

    role: str = ""


class ClientMade(Answer, frozen=True):
    """The answer to keys.client: where the key is to be used."""

    port: int
    master: str
    fingerprint: str


class Keys(Answer, frozen=True):
    """The answer to keys.list."""

    keys: tuple[Key, ...]
    clients: tuple[ClientKey, ...] = ()


class Standing(Answer, frozen=True):
    """The answer to keys.rotate, keys.rotation and keys.finish; `number` 0: nothing is announced."""

    number: int
    fingerprint: str
    learned: tuple[str, ...]
    missing: tuple[str, ...]


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
