"""Why a message is refused: every refusal has a class of its own, so that it can be counted and reported by reason.

A refused message changes nothing. The text is for the operator of the host that refused it.
"""

from __future__ import annotations

from typing import ClassVar


class Refused(Exception):
    """A message that is dropped; `reason` is a stable word for counters and for the event `message.refused`."""

    reason: ClassVar[str] = "refused"


class Oversized(Refused):
    """More bytes than the limit; nothing of it was decoded."""

    reason = "oversized"


class Malformed(Refused):
    """The bytes are no message: not msgpack, not canonical, fields missing, of a wrong type or out of range."""

    reason = "malformed"


class UnknownVersion(Refused):
    """An envelope of another version of the protocol, newer or older."""

    reason = "unknown_version"


class StaleSuccessor(Refused):
    """Keys of a master that were announced before those that are known, or other ones under the same number."""

    reason = "stale_successor"


class UnknownKey(Refused):
    """Signed with a key that is not trusted here: another master's."""

    reason = "unknown_key"


class BadSignature(Refused):
    """The signature does not fit: forged, or changed on the way."""

    reason = "bad_signature"


class UnknownType(Refused):
    """Signed by our master, but of a type that this version does not know."""

    reason = "unknown_type"


class UnknownAudience(Refused):
    """It is for another host, or for an audience that this side does not know."""

    reason = "unknown_audience"


class StaleGeneration(Refused):
    """A desired state older than the one held: replayed, reordered or rolled back."""

    reason = "stale_generation"


class ConflictingGeneration(Refused):
    """A second, different desired state under a generation that is held already."""

    reason = "conflicting_generation"


class RepeatedCommand(Refused):
    """A command number that was used before, or lies before one that was."""

    reason = "repeated_command"
