"""Does keepalived get the CPU in time (V2)? Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from .symptom import Symptom, warning

_STEAL_SHARE = 0.05
_LATE = "timer expired"
_STEAL = 7
_STAMP_SIZE = 24
_RECENT_SECONDS = 3600


class Ticks(NamedTuple):
    """Clock ticks since boot of all CPUs: all of them, and those that the hypervisor gave to others."""

    total: int
    stolen: int


def ticks(text: str) -> Ticks:
    """Read /proc/stat; its first line has user nice system idle iowait irq softirq steal (guest is part of user)."""
    numbers = [int(word) for word in text.partition("\n")[0].split()[1 : _STEAL + 2]]
    return Ticks(sum(numbers), numbers[_STEAL] if len(numbers) > _STEAL else 0)


def judge_steal(before: Ticks, after: Ticks) -> Iterable[Symptom]:
    """Judge the share that was stolen between two readings."""
    total = after.total - before.total
    share = (after.stolen - before.stolen) / total if total > 0 else 0.0
    if share > _STEAL_SHARE:
        yield warning(
            "V2", "CPU", f"the hypervisor kept back {share:.0%} of the CPU time",
            "keepalived may miss its turn: the other director becomes MASTER although this one lives",
            "reserve CPU for this virtual machine, or set a longer `vrrp: {advert_interval: ...}` in the cluster file",
        )  # fmt: skip


def recent(lines: Iterable[str], now: float) -> list[str]:
    """Leave out what keepalived stamped more than an hour before `now` (Unix time); a line without a stamp stays."""
    kept = []
    for line in lines:
        try:
            then = time.mktime(time.strptime(line[:_STAMP_SIZE], "%a %b %d %H:%M:%S %Y"))
        except ValueError:
            then = now
        if now - then <= _RECENT_SECONDS:
            kept.append(line)
    return kept


def judge_log(lines: Iterable[str]) -> Iterable[Symptom]:
    """Judge keepalived's log of late."""
    late = [line for line in lines if _LATE in line]
    if late:
        yield warning(
            "V2", "keepalived", f"{len(late)} late timers in its log, the last: {late[-1].strip()[-160:]}",
            "keepalived did not get the CPU in time: roles flap under load",
            "more CPU for this host, or a longer `vrrp: {advert_interval: ...}` in the cluster file",
        )  # fmt: skip
