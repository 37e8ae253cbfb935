"""What it means when the kernel refuses a change of the IPVS table, and the way out. Pure."""

from __future__ import annotations

import errno

from lbminion.errors import NotPermitted, kernel_said
from lbstates.kinds.destination import Destination
from lbstates.kinds.kind import Resource
from lbstates.kinds.service import Service, family_of

from .message import Refusal


def why_refused(kind: str, wanted: Resource | None, refusal: Refusal) -> str:
    """Say why a change of this kind was refused; `wanted` is what should have been (None: nothing, or not of the table)."""
    number = refusal.errno
    if number == errno.EPERM:
        return str(NotPermitted("changing the IPVS table"))
    said = None
    if isinstance(wanted, Service):
        said = _of_service(wanted, number)
    elif kind == "destination":
        said = _of_destination(wanted, number)
    elif kind == "sync_daemon":
        said = _DAEMON.get(number)
    return said or kernel_said(number, refusal.text)


def _of_service(service: Service, number: int) -> str | None:
    if number != errno.ENOENT:
        return None
    reason = f"this kernel has no scheduler {service.scheduler!r}: try `modprobe ip_vs_{service.scheduler}`"
    engine = service.persistence.engine if service.persistence else None
    return f"{reason}, or no persistence engine {engine!r}: try `modprobe ip_vs_pe_{engine}`" if engine else reason


def _of_destination(wanted: Resource | None, number: int) -> str | None:
    if number == errno.ESRCH:
        return "its virtual service is not in the table"
    if number == errno.ERANGE:
        return "the weight is too large, or the lower threshold is above the upper one"
    if number == errno.EINVAL and isinstance(wanted, Destination) and _mixed(wanted):
        return (
            "a destination of the other address family needs forwarding by tunnel, and no connection synchronisation "
            "(the kernel cannot synchronise such connections)"
        )
    return None


def _mixed(destination: Destination) -> bool:
    six = "[" in destination.service or destination.service.endswith(" IPv6")
    return six != (family_of(destination.address) == "ipv6")


_DAEMON = {
    errno.EEXIST: "a daemon of this role runs already: stop it first",
    errno.ENODEV: "there is no such interface, or it is down",
    errno.EINVAL: (
        "the kernel refuses these parameters, or a virtual service has destinations of the other address family "
        "(it cannot synchronise such connections)"
    ),
}
