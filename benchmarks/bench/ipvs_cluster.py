"""The table that is measured: 1,000 services of ten destinations each, and the changes that make it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lbstates.kinds.destination import Destination
from lbstates.kinds.kind import Resource
from lbstates.kinds.service import Service
from lbstates.plan import Plan, diff, index

SERVICES, DESTINATIONS = 1000, 10
OBJECTS = SERVICES * (1 + DESTINATIONS)


def resources(services: int = SERVICES, destinations: int = DESTINATIONS) -> list[Resource]:
    """Make all services and destinations."""
    found: list[Resource] = []
    for number in range(services):
        service = Service("tcp", f"10.0.{number // 250}.{number % 250 + 1}", 80, "rr")
        found.append(service)
        found += [
            Destination(service.identity, f"10.{number % 250 + 1}.{number // 250}.{place + 1}", 80, "direct", 1)
            for place in range(destinations)
        ]
    return found


def plan_from_empty(wanted: Iterable[Resource]) -> Plan:
    """Plan them for a host that has none."""
    empty: Mapping[str, Mapping[str, Resource]] = {}
    return diff(index(wanted), empty, {})


def saved(wanted: Iterable[Resource]) -> str:
    """Write them as `ipvsadm -Sn` does, for `ipvsadm -R`."""
    lines = []
    for one in wanted:
        if isinstance(one, Service):
            lines.append(f"-A -t {one.address}:{one.port} -s {one.scheduler}")
        elif isinstance(one, Destination):
            service = one.service.partition(" ")[2]
            lines.append(f"-a -t {service} -r {one.address}:{one.port} -g -w {one.weight}")
    return "\n".join(lines) + "\n"
