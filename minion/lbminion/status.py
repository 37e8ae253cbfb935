"""What the running minion says of itself: a small file below /run, rewritten with every sample, for `lbminion status`."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from lbservice.files import write_atomically
from lbwire.messages import Health, Sample

from .jobs import Outcome
from .policy import Why


class Status(msgspec.Struct, frozen=True):
    """`fingerprint` is that of this host's key; `accepted` is False once the master has refused this host's key.

    `sample.time` tells how fresh this is; `undone` are lines about what is not as declared, and why.
    """

    name: str
    fingerprint: str
    master: str
    online: bool
    accepted: bool
    sample: Sample
    undone: tuple[str, ...] = ()


_SHOWN: Final = 20
_WHY: Final[dict[Why, str]] = {
    "held": "left alone: an operator stopped keepalived",
    "reported": "only reported: the cluster says `drift: report`",
    "contested": "waits: somebody keeps changing it back",
}


def undone(outcome: Outcome) -> tuple[str, ...]:
    """Say what a look did not make as declared: at most twenty lines and one that counts the rest."""
    lines = chain(
        (f"{change.describe()} (not done)" for change in outcome.remaining),
        (f"{change.describe()} ({_WHY[why]})" for change, why in outcome.left),
        outcome.errors,
    )
    # Asked for every second: what is not shown is not described.
    more = len(outcome.remaining) + len(outcome.left) + len(outcome.errors) - _SHOWN
    return (*islice(lines, _SHOWN), *([f"and {more} more"] if more > 0 else ()))


def unwell(health: Health) -> tuple[str, ...]:
    """Say what checks have found, a line each: at most twenty lines and one that counts the rest."""
    lines = [
        *(f"{service}: no real server answers, the sorry server does" for service in health.sorry),
        *(f"{service}: more fail than may be out, some stay in although they fail" for service in health.frozen),
        *(f"{destination} fails: {reason}" for destination, reason in health.failing.items()),
        *(f"{destination} has passed no probe yet" for destination in health.unproven),
        *(f"{destination} is suspected: clients' connections do not establish" for destination in health.suspected),
        *(f"{endpoint}: nothing on this host takes what is sent there" for endpoint in health.silent),
    ]
    more = len(lines) - _SHOWN
    return (*lines[:_SHOWN], *([f"and {more} more"] if more > 0 else ()))


def _file(runtime: Path) -> Path:
    return runtime / "status.json"


def write_status(runtime: Path, status: Status) -> None:
    """Replace the file in one step; raises `OSError`."""
    write_atomically(_file(runtime), msgspec.json.encode(status), mode=0o644, durable=False)


def remove_status(runtime: Path) -> None:
    """The service ends: nothing shall say that it runs."""
    with suppress(OSError):
        _file(runtime).unlink()


def masters(runtime: Path) -> frozenset[str]:
    """Name the VRRP instances that are MASTER here, as the service said last."""
    status = read_status(runtime)
    return (
        frozenset(name for name, role in status.sample.roles.items() if role.state == "MASTER")
        if status
        else frozenset()
    )


def read_status(runtime: Path) -> Status | None:
    """Read what the service wrote last; None when there is nothing, or nothing that this version understands."""
    try:
        return msgspec.json.decode(_file(runtime).read_bytes(), type=Status)
    except (OSError, msgspec.MsgspecError):
        return None
