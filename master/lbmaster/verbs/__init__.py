"""What can be asked at the control socket: each verb reads its arguments, asks the part that knows, and answers.

One module per family of verbs; a new family is one module and one line here. The protocol is documented in
docs/control.md. Arguments are typed; what does not fit is a `bad_request`.
"""

from __future__ import annotations

from typing import Final

from lbmaster.control import Verb

from .clusters import ClusterVerbs
from .interventions import InterventionVerbs
from .keys import KeyVerbs
from .parts import Parts
from .pushing import PushVerbs
from .rollouts import RolloutVerbs
from .rotation import RotationVerbs
from .service import ServiceVerbs
from .switching import SwitchingVerbs

__all__ = ["READ_ONLY", "Parts", "all_verbs"]

READ_ONLY: Final = frozenset({"events"})
"""What a subscriber may ask."""

_FAMILIES: Final = (
    ServiceVerbs,
    KeyVerbs,
    RotationVerbs,
    PushVerbs,
    InterventionVerbs,
    SwitchingVerbs,
    ClusterVerbs,
    RolloutVerbs,
)


def all_verbs(parts: Parts) -> dict[str, Verb]:
    """Map each verb to what answers it."""
    return {name: verb for family in _FAMILIES for name, verb in family(parts).table.items()}
