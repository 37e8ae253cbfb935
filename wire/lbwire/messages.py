"""The typed messages: what a master sends inside envelopes, and what a minion answers.

Messages of a minion are authenticated by its CURVE key and are not signed. Unknown fields of a master's message are
refused (a minion must not do half of what it was told); unknown fields of a minion's are skipped, so that a newer
minion can talk to an older master.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from .codec import LIMIT, pack, unpack
from .envelope import Envelope
from .errors import Malformed
from .topics import NAME

# \A and \Z because $ lets a trailing newline pass.
Name: TypeAlias = Annotated[str, Meta(pattern=rf"\A{NAME}\Z")]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text: TypeAlias = Annotated[str, Meta(max_length=4096)]

MOST_ANNOUNCED: Final = 1024
"""VRRP instances in one message: twice the VRIDs of both families, of which a cluster has one for each instance."""


# --- from the master ------------------------------------------------------------------------------------------------


class FromMaster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an envelope."""


class State(FromMaster, frozen=True):
    """The desired state of one role of a cluster, staged until it is released.

    `hosts` names the hosts of the role; `desired` is what `lbstates.desired.encode_state` returned.
    """

    hosts: tuple[Name, ...]
    desired: dict[str, Any]


class Release(FromMaster, frozen=True):
    """The staged generation of the envelope may be applied now by these hosts."""

    hosts: tuple[Name, ...]


class Reconcile(FromMaster, frozen=True, omit_defaults=True):
    """Compare with the kernel and heal what differs; `reason` is for the journal ("failover of web", "operator").

    `announce` names VRRP instances of which two directors were MASTER, and one has yielded: whoever is MASTER now tells
    its neighbours once more where the VIPs are, since the other one may have told them last. Without any the message is
    what older minions know.
    """

    reason: Text
    announce: Annotated[tuple[Name, ...], Meta(max_length=MOST_ANNOUNCED)] = ()


class Trial(FromMaster, frozen=True):
    """Say what would change if this were the desired state; change and keep nothing."""

    hosts: tuple[Name, ...]
    desired: dict[str, Any]


class Examine(FromMaster, frozen=True):
    """Look at the host for what is known to break clusters, and say what was found; change nothing."""


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a cluster stands: the generation released to all its hosts, and the last command number used."""

    generation: Number
    command: Number


class Beacon(FromMaster, frozen=True):
    """Where every cluster stands, sent every second or two: who missed a broadcast sees a higher number and asks."""

    clusters: dict[Name, Position]


class Ack(FromMaster, frozen=True):
    """Everything up to this event of the minion is in the journal; what follows is wanted next."""

    boot: Number
    sequence: Number


class Successor(FromMaster, frozen=True):
    """The keys that will take the place of the master's, signed by the one that is trusted now.

    `number` grows with each announcement; `signing` is an Ed25519 public key (raw), `transport` a CURVE one (Z85).
    """

    number: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    signing: Annotated[bytes, Meta(min_length=32, max_length=32)]
    transport: Annotated[bytes, Meta(min_length=40, max_length=40)]


MASTER_TYPES: Final[dict[str, type[FromMaster]]] = {
    "state": State,
    "release": Release,
    "reconcile": Reconcile,
    "trial": Trial,
    "examine": Examine,
    "beacon": Beacon,
    "ack": Ack,
    "successor": Successor,
}


def payload(message: FromMaster) -> bytes:
    """Encode a master's message for its envelope."""
    return pack(msgspec.to_builtins(message, builtin_types=(bytes,)))


def open_payload(envelope: Envelope) -> FromMaster:
    """Decode the payload of an envelope that was verified; raises `Malformed`, also when `payload` would write it otherwise."""
    message: FromMaster = _convert(unpack(envelope.payload), MASTER_TYPES[envelope.type])
    if payload(message) != envelope.payload:
        raise Malformed("the payload is not in canonical form")
    return message


# --- from a minion --------------------------------------------------------------------------------------------------


class FromMinion(msgspec.Struct, frozen=True, tag_field="type"):
    """One message on the uplink."""


class Step(msgspec.Struct, frozen=True):
    """One change of a plan, for people and machines.

    `verb` is add, set or remove; `before` and `after` describe the specification ("" where there is none);
    `detail` is a longer text such as a unified diff. `count` is 1, or of how many changes this tells at once: an event
    names the first ones of a large plan, and counts the rest.
    """

    kind: str
    verb: str
    identity: str
    before: str = ""
    after: str = ""
    detail: str = ""
    count: int = 1


class Holding(msgspec.Struct, frozen=True):
    """What a minion holds of one cluster (0: nothing)."""

    staged: Number
    applied: Number
    command: Number


class Hello(FromMinion, frozen=True, tag="hello"):
    """Sent on every (re)connection, and whenever a beacon shows that something was missed.

    `successor`: the number of the last keys of the master that it has learned of (0: only those that it joined with).
    `boot` and `oldest` name the first event that the minion still keeps; `sequence` is 0 when there is none.
    """

    product: Text
    keepalived: Text
    boot: Number
    sequence: Number
    holdings: dict[Name, Holding]
    successor: Number = 0


class Event(msgspec.Struct, frozen=True):
    """Something that happened. Its identity is (minion, boot, sequence); `time` is the host's own clock (Unix, s)."""

    boot: Number
    sequence: Number
    type: Annotated[str, Meta(pattern=r"\A[a-z]+(\.[a-z_]+)?\Z", max_length=64)]
    time: float
    cluster: str
    data: dict[str, Any]


class Events(FromMinion, frozen=True, tag="events"):
    """Events in order. Numbers that are missing between them were given up, and an `events.lost` counts them.

    `after_boot` and `after_sequence` name the event that was sent before the first of these (0, 0: none), so that the
    master sees when a message did not arrive.
    """

    after_boot: Number
    after_sequence: Number
    events: tuple[Event, ...]


class Statistics(msgspec.Struct, frozen=True):
    """Counters and rates of one virtual service or destination, as the kernel counts them.

    Rates are per second, averaged by the kernel over some seconds. `active` and `inactive` are connections
    (0 for a virtual service: the kernel counts them per destination).
    """

    identity: str
    connections: int
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int
    cps: int
    pps_in: int
    pps_out: int
    bps_in: int
    bps_out: int
    active: int = 0
    inactive: int = 0
    weight: int = 0


class Figures(Statistics, frozen=True, array_like=True, gc=False):
    """`Statistics` as they travel: the values in their order, without the names, which would be most of the bytes."""


class Role(msgspec.Struct, frozen=True):
    """A VRRP instance on this host: `state` is MASTER, BACKUP, FAULT or STOP."""

    state: str
    priority: int
    vips: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True):
    """What this host knows of the health of services; what is well is not named.

    On a director: `failing` by the identity of a destination, with the reason; `unproven` destinations wait for their
    first verdict; `frozen` and `sorry` are services; `suspected` destinations get connections that never establish.
    On a real server: `silent` are endpoints ("tcp VIP:port") where nothing listens.
    """

    failing: dict[str, Text] = {}
    unproven: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    sorry: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


class Sample(FromMinion, frozen=True, tag="sample"):
    """The newest figures and roles; renews the lease on what is known of this host. None is kept for later.

    `drift` counts the changes that the last comparison found and could not heal. A `full` sample has the figures of
    every entry of the IPVS table; any other one those that differ from the sample before it, by `number`, and in `gone`
    the identities that are no longer there. The minion sends a full one whenever the master may have missed one.
    """

    time: float
    holdings: dict[Name, Holding]
    roles: dict[str, Role]
    drift: int
    services: tuple[Figures, ...] = ()
    destinations: tuple[Figures, ...] = ()
    keepalived: Text = ""
    number: Number = 0
    full: bool = True
    gone: tuple[str, ...] = ()
    health: Health = Health()


class Planned(FromMinion, frozen=True, tag="planned"):
    """The answer to a trial: the plan, or why there is none."""

    cluster: Name
    command: Number
    steps: tuple[Step, ...] = ()
    error: Text = ""


class Reconciled(FromMinion, frozen=True, tag="reconciled"):
    """The answer to a reconcile: what was healed, and how many changes remain undone."""

    cluster: Name
    command: Number
    healed: tuple[Step, ...]
    remaining: Number


class Symptom(msgspec.Struct, frozen=True):
    """One thing that is, or may become, wrong: `id` is that of the pitfall ("R2"), `severity` error, warning or info.

    `subject` names the object, `seen` what was found, `means` why that matters, `repair` the command or setting.
    """

    id: str
    severity: str
    subject: str
    seen: str
    means: str
    repair: str


class Examined(FromMinion, frozen=True, tag="examined"):
    """The answer to an examine: what was found, or why nothing could be.

    `facts` are for comparisons between hosts, as texts by name ("mac eth1" -> "02:00:00:00:00:03").
    """

    cluster: Name
    command: Number
    symptoms: tuple[Symptom, ...] = ()
    facts: dict[str, str] = {}
    error: Text = ""


class Rotate(FromMinion, frozen=True, tag="rotate"):
    """This minion will use another key (CURVE, Z85) from now on; the connection that says so proves the one it has."""

    public: Annotated[bytes, Meta(min_length=40, max_length=40)]


MINION_MESSAGE: TypeAlias = Hello | Events | Sample | Planned | Reconciled | Examined | Rotate


def encode(message: FromMinion) -> bytes:
    """Encode a minion's message."""
    return pack(msgspec.to_builtins(message, builtin_types=(bytes,)))


def decode(raw: bytes, *, limit: int = LIMIT) -> MINION_MESSAGE:
    """Decode a minion's message; raises `Oversized` or `Malformed`."""
    message: MINION_MESSAGE = _convert(unpack(raw, limit=limit), MINION_MESSAGE)
    return message


def _convert(value: Any, shape: Any) -> Any:  # noqa: ANN401 - msgspec's own signature
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a message: {error}") from error
