"""The load of IPVS' connection table (I9), and who else writes to the table of services (I2). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .symptom import Symptom, info, warning

_SIZE = re.compile(r"\(size=(\d+)\)")
_FULL = 1.0
_BITS_MOST = 20
_WRITERS = {
    "ldirectord": "ldirectord",
    "kube-proxy": "kube-proxy",
    "kube-router": "kube-router",
}


class Load(NamedTuple):
    """Buckets of the connection table, and connections in it: active and inactive ones of all destinations."""

    buckets: int
    connections: int


def load(text: str) -> Load | None:
    """Read /proc/net/ip_vs; None for what is not that."""
    size = _SIZE.search(text.partition("\n")[0])
    if size is None:
        return None
    connections = 0
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] == ["->"] and fields[-1].isdecimal() and fields[-2].isdecimal():
            connections += int(fields[-1]) + int(fields[-2])
    return Load(int(size[1]), connections)


def judge_load(found: Load) -> Iterable[Symptom]:
    """Say when the chains of the table are long on average."""
    if found.connections > _FULL * found.buckets:
        bits = min(_BITS_MOST, max(found.connections.bit_length() + 1, found.buckets.bit_length()))
        yield warning(
            "I9", "connection table",
            f"{found.connections} connections in {found.buckets} buckets: {found.connections / found.buckets:.1f} in each",
            "every packet searches a chain of that length: the director's CPU goes there at high rates",
            f"`options ip_vs conn_tab_bits={bits}` in /etc/modprobe.d/ip_vs.conf, then reboot this director while it is BACKUP",
        )  # fmt: skip


def judge_writers(processes: Mapping[int, str], checkers: int | None) -> Iterable[Symptom]:
    """Judge who else may write to the table; `processes`: pid -> name, `checkers`: the pid of keepalived's own, if any."""
    for pid, name in sorted(processes.items()):
        if name in _WRITERS:
            yield _writer(f"{_WRITERS[name]} (pid {pid}) runs here")
    if checkers is not None:
        yield _writer(f"keepalived runs its own health checkers (pid {checkers}): its configuration has virtual_server")


def _writer(seen: str) -> Symptom:
    return warning(
        "I2", "IPVS table", seen, "two writers change each other's entries: they flap",
        "let one of them own this host's services: stop the other, or take this host out of the cluster file",
    )  # fmt: skip


def judge_foreign(entries: Iterable[str]) -> Iterable[Symptom]:
    """Name the entries of somebody else."""
    some = sorted(entries)
    if some:
        yield info(
            "I2", "IPVS table", f"{len(some)} entries that are not ours: {', '.join(some[:5])}",
            "somebody else writes to this table; they are left alone",
            "declare them in the cluster file, or set `exclusive: true` there to have them removed",
        )  # fmt: skip
