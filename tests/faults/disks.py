"""Faults of disks: the file system of a daemon's state is really full, a small tmpfs laid over its directory."""

from __future__ import annotations

from typing import Final

from tests.faults.fault import CALM, Fault, told
from tests.faults.field import Act, Field
from tests.faults.variants import Variant

from story.cast import FIVE
from story.hosts import Unexpected

REAL_SERVER: Final = FIVE.real_servers[0]
_FILLER: Final = "filler"


def fill(host: str, unit: str) -> Act:
    """Move the state of a daemon to a small file system, and fill that to the last byte."""
    directory = f"/var/lib/{unit}"
    lines = (
        f"systemctl stop {unit}",
        f"cp -a {directory} {directory}.kept",
        f"mount -t tmpfs -o size=8m small {directory}",
        f"cp -a {directory}.kept/. {directory}",
        f"chown --reference={directory}.kept {directory}; chmod --reference={directory}.kept {directory}",
        f"systemctl start {unit}",
        f"cat /dev/zero >{directory}/{_FILLER} 2>/dev/null || true",
        f"df --output=avail {directory} | tail -n 1",
    )

    def do(field: Field) -> None:
        left = field.hosts.out(host, "set -e; " + "; ".join(lines)).split()[-1]
        if left != "0":
            raise Unexpected(f"{left} KB are left on the full disk of {host}")

    return do


def empty(host: str, unit: str) -> Act:
    """Make room again, and take the small file system away."""
    directory = f"/var/lib/{unit}"
    lines = (
        f"systemctl stop {unit}",
        f"cp -a {directory}/. {directory}.kept",
        f"umount {directory}",
        f"rm -rf {directory}; mv {directory}.kept {directory}",
        f"systemctl start {unit}",
    )

    def undo(field: Field) -> None:
        field.hosts.out(host, f"rm {directory}/{_FILLER}")
        field.hosts.out(host, "set -e; " + "; ".join(lines))

    return undo


def lose_vip(field: Field) -> None:
    """Delete the VIP on a real server: it is healed although a disk is full."""
    field.hosts.out(REAL_SERVER, f"ip address del {field.cast.vip}/32 dev lo")
    field.hosts.until(lambda: field.hosts.has_vip(REAL_SERVER), "the VIP is healed although the disk is full")


def push_is_refused(field: Field) -> None:
    """See that a master that cannot write refuses a push, and that the drift is healed without it."""
    answer = field.push(Variant(scheduler="wrr"))
    if "error" not in answer:
        raise Unexpected(f"a push to be refused while the master's disk is full, but it was {answer}")
    since = field.subscriber.cursor
    lose_vip(field)
    if heard := [event["type"] for event in field.subscriber.since(since)]:
        raise Unexpected(
            f"events to wait on their hosts while the master's disk is full, but a subscriber heard {heard}"
        )


FAULTS: Final = (
    Fault(
        "full disk on the master",
        "A push is refused and uses no generation; events wait on the hosts until there is room.",
        do=fill(FIVE.master, "lbmaster"),
        during=push_is_refused,
        random=False,
        undo=empty(FIVE.master, "lbmaster"),
        after=(told("drift.healed", REAL_SERVER),),
        never=CALM,
    ),
    Fault(
        "full disk on a real server",
        "It is healed all the same; its events go on from memory.",
        do=fill(REAL_SERVER, "lbminion"),
        during=lose_vip,
        random=False,
        undo=empty(REAL_SERVER, "lbminion"),
        after=(told("drift.healed", REAL_SERVER),),
        never=CALM,
    ),
)
