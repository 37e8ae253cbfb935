"""Who may hear which broadcast: what a key was accepted for, put into topics. Says what was asked for in vain."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from lbwire.errors import Refused

from .clusters import Clusters
from .keyring import Enrolment

logger = logging.getLogger(__name__)

SHOWN: Final = 100
"""Characters of a topic that somebody asked for in vain."""


class NotItsTopic(Refused):
    """A minion wants to hear what is for others."""

    reason = "not_its_topic"


class Hearing:
    """`accepted`: CURVE public key (Z85, text) -> enrolment, as it is at the moment; set `refuse` before it is used."""

    def __init__(self, accepted: Mapping[str, Enrolment], clusters: Clusters) -> None:
        self._accepted, self._clusters = accepted, clusters
        self.refuse: Callable[[str, Refused], None]

    def granted(self, user: str) -> frozenset[bytes]:
        """List the topics of a key; none, if it is not accepted (any more)."""
        enrolment = self._accepted.get(user)
        return self._clusters.topics(enrolment.name) if enrolment else frozenset()

    def denied(self, user: str, topic: bytes) -> None:
        """Somebody subscribed to what is not granted."""
        enrolment = self._accepted.get(user)
        if enrolment is not None:
            self.refuse(enrolment.name, NotItsTopic(f"it subscribed to {topic[:SHOWN]!r}, which is for others"))
