"""What can be wrong with a cluster file although every field alone is right. One function per question."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lbstates.clusterfile.model import Cluster

from . import hosts, ipvs, services, vrrp, watching
from .remark import Declared, Remark

__all__ = ["Declared", "Remark", "check_all"]


def check_all(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    """Ask every question."""
    for check in _CHECKS:
        yield from check(cluster, declared)


_CHECKS: tuple[Callable[[Cluster, Declared], Iterator[Remark]], ...] = (
    *hosts.CHECKS,
    *vrrp.CHECKS,
    *services.CHECKS,
    *ipvs.CHECKS,
    *watching.CHECKS,
)
