"""Whom a message is for (audience), and the topics under which the master broadcasts.

A ZeroMQ subscription matches by prefix, so every topic ends with a delimiter that no name can hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NAME: Final = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
"""A host's or cluster's name (without anchors): it stands in topics, paths and configuration files."""

EVERYONE: Final = "everyone"
"""The audience of a beacon: every minion, whatever its clusters."""
CLUSTER: Final = "cluster"
"""The audience of a release or reconcile: every host of the cluster."""
ROLES: Final = ("realserver", "director")

_END: Final = b"\x00"

BEACON: Final = b"beacon" + _END


def role_audience(role: str) -> str:
    """Name the hosts of one role of the cluster."""
    return f"role:{role}"


def host_audience(host: str) -> str:
    """Name one host."""
    return f"host:{host}"


ROLE_AUDIENCES: Final = frozenset(role_audience(role) for role in ROLES)


def topic(cluster: str, audience: str) -> bytes:
    """Make the topic of a broadcast to an audience of a cluster."""
    return b"cluster/" + cluster.encode() + b"/" + audience.encode() + _END


def cluster_topics(cluster: str, audiences: Iterable[str]) -> frozenset[bytes]:
    """List what a host subscribes to that holds states for these audiences of the cluster."""
    return frozenset(topic(cluster, audience) for audience in (CLUSTER, *audiences))
