"""What an event is worth when not all of them can be kept: the same answer on a host's disk and in the journal. Pure.

A new type that nobody sorts in is ordinary. How much room there is, and when something is given up, is for those who keep
events (`lbminion.spool`, `lbmaster.journal`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from . import conclusions, events, health_events


class Worth(IntEnum):
    """The lower, the sooner an event is given up; among equals the oldest first."""

    PASSING = 0
    """Commentary, as often as something is looked at: what is true now is told again, or can be read from the host."""
    ORDINARY = 1
    VITAL = 2
    """Who held a VIP and who served clients, what operators and keys did: the story that is told after an outage."""


PASSING: Final = frozenset(
    data.TYPE
    for data in (
        events.DriftFound, events.DriftHealed, events.DriftGone, events.DriftContested, events.DriftSettled,
        events.Foreign, events.Adopted, events.MessageRefused, health_events.DestinationSuspected,
        health_events.CertificateExpiring,
    )
)  # fmt: skip

VITAL: Final = frozenset(
    data.TYPE
    for data in (
        events.VrrpTransition, conclusions.SplitBrain, conclusions.SplitBrainEnded, conclusions.Failover,
        events.KeepalivedStarted, events.KeepalivedStopped, events.KeepalivedDied,
        health_events.HealthChanged, health_events.ServiceSilent, health_events.ServiceListening,
        health_events.PoolFrozen, health_events.PoolThawed, health_events.PoolSorry, health_events.PoolRecovered,
        conclusions.MinionLost, conclusions.MinionDuplicate, events.EventsLost, conclusions.OperatorActed,
        conclusions.PushStarted, conclusions.PushFinished, conclusions.PushRolledBack,
        conclusions.KeyAccepted, conclusions.KeyRevoked, conclusions.KeyRotated, events.MasterSuccessor,
    )
)  # fmt: skip


def worth_of(event_type: str) -> Worth:
    """Sort an event in; a type that is not known (of a newer release) is ordinary."""
    if event_type in VITAL:
        return Worth.VITAL
    return Worth.PASSING if event_type in PASSING else Worth.ORDINARY
