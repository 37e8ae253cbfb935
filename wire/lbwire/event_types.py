"""The table of all types of event, and their way to plain values and back. Pure.

`docs/events.md` is the same table for people, in the same order; a test compares the two. What a type carries is said
where its class is, never here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from . import conclusions, events, health_events

EVENT_TYPES: Final[dict[str, type[events.Data]]] = {
    data.TYPE: data
    for data in (
        events.VrrpTransition, conclusions.SplitBrain, conclusions.SplitBrainEnded, conclusions.Failover,
        events.DriftFound, events.DriftHealed, events.DriftUnhealed, events.DriftGone, events.DriftContested,
        events.DriftSettled, events.Foreign,
        events.Adopted, events.StateStaged, events.StateApplied, events.StateRefused,
        events.KeepalivedStarted, events.KeepalivedStopped, events.KeepalivedDied, events.ConfigReplaced,
        events.MinionStarted, conclusions.MinionOnline, conclusions.MinionLost, conclusions.MinionDuplicate,
        events.MessageRefused,
        health_events.HealthChanged, health_events.HealthFlapping, health_events.DestinationSuspected,
        health_events.ServiceSilent, health_events.ServiceListening,
        health_events.PoolFrozen, health_events.PoolThawed, health_events.PoolSorry, health_events.PoolRecovered,
        health_events.CheckSuspect, health_events.CertificateExpiring, events.EventsLost,
        conclusions.PushStarted, conclusions.PushFinished, conclusions.PushWave, conclusions.PushGate,
        conclusions.PushPaused, conclusions.PushRolledBack, conclusions.OperatorActed,
        conclusions.KeyRotated, events.MasterSuccessor, conclusions.KeyPending, conclusions.KeyAccepted,
        conclusions.KeyRevoked,
    )
}  # fmt: skip


def encode_data(data: events.Data) -> dict[str, Any]:
    """Turn the data of an event into plain values, as `Event.data` carries them."""
    plain: dict[str, Any] = msgspec.to_builtins(data)
    return plain


def decode_data(event_type: str, plain: dict[str, Any]) -> events.Data:
    """Turn plain values back; raises `KeyError` for an unknown type, `msgspec.ValidationError` for other shapes."""
    return msgspec.convert(plain, EVENT_TYPES[event_type])
