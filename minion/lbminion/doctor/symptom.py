"""A symptom, made in one call: which pitfall, of what, what was seen, what it means, what repairs it."""

from __future__ import annotations

from typing import TypeAlias

from lbwire.messages import Symptom

Symptoms: TypeAlias = list[Symptom]

__all__ = ["Symptom", "Symptoms", "error", "info", "warning"]


def error(pitfall: str, subject: str, seen: str, means: str, repair: str) -> Symptom:
    """Traffic is lost, or will be at the next failover."""
    return Symptom(pitfall, "error", subject, seen, means, repair)


def warning(pitfall: str, subject: str, seen: str, means: str, repair: str) -> Symptom:
    """It works today; under load, or with the next change, it may not."""
    return Symptom(pitfall, "warning", subject, seen, means, repair)


def info(pitfall: str, subject: str, seen: str, means: str, repair: str) -> Symptom:
    """Nothing is wrong; somebody who looks for a cause should know it. Also: what could not be looked at."""
    return Symptom(pitfall, "info", subject, seen, means, repair)
