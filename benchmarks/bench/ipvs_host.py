"""What costs the minion's CPU on the host, where a system call costs what it costs users: planning and sampling."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from lbminion.netlink.ipvs import Ipvs
from lbminion.sampler import Sampler
from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.kinds.destination import Destination
from lbstates.kinds.kind import Resource
from lbstates.plan import diff, index
from lbwire.messages import Sample, encode

from . import ipvs_cluster, ipvs_replay

MILLI = 1000.0


def planning(recording: bytes, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of CPU for a plan with nothing to do, and with one weight to change."""
    with ipvs_replay.replayed(recording, change_every=0) as table:
        read = table.read()
    observed = {"service": read.services, "destination": read.destinations}
    same = ipvs_cluster.resources()
    other = [*same[:-1], _reweighted(same[-1])]
    owned = {kind: dict.fromkeys(of_kind) for kind, of_kind in index(same).items()}

    def plan(resources: list[Resource], expected: int) -> None:
        found = diff(index(resources), observed, owned)
        if len(found) != expected:
            raise SystemExit(f"a plan of {len(found)} changes instead of {expected}")

    return {
        "nothing": [_cpu(lambda: plan(same, 0)) for _ in range(rounds)],
        "one weight": [_cpu(lambda: plan(other, 1)) for _ in range(rounds)],
    }


def _reweighted(resource: Resource) -> Resource:
    if not isinstance(resource, Destination):
        raise TypeError(type(resource))
    return msgspec.structs.replace(resource, weight=7)


def sampling(recording: bytes, change_every: int, rounds: int) -> tuple[list[float], float]:
    """Milliseconds of CPU for each sample after the first, and how many bytes it has on the wire."""
    with ipvs_replay.replayed(recording, change_every=change_every) as table:
        sampler = Sampler()
        size = _sample(table, sampler)
        found = []
        for _ in range(rounds):
            begin = time.thread_time()
            size = _sample(table, sampler)
            found.append(MILLI * (time.thread_time() - begin))
    return found, size


def _sample(table: Ipvs, sampler: Sampler) -> int:
    told = sampler.take(table.snapshot())
    return len(encode(msgspec.structs.replace(Sample(0.0, {}, {}, 0), **told._asdict())))


def compiling(rounds: int) -> list[float]:
    """Milliseconds of CPU for a cluster file of 200 hosts, 100 VIPs and 1,000 services: checked, and compiled."""
    text = cluster_file()
    return [_cpu(lambda: compile_cluster(parse(text, "cluster.yaml"))) for _ in range(rounds)]


def cluster_file(directors: int = 4, real_servers: int = 196, vips: int = 100, services: int = 1000) -> str:
    """Write one, with ten real servers for each service."""
    lines = ["cluster: large", "directors:"]
    lines += [f"  d{number}: 10.0.0.{number + 1}" for number in range(directors)]
    lines += ["real_servers:", *(f"  r{number}: 10.0.1.{number + 1}" for number in range(real_servers))]
    lines += ["vips:", *(f"  v{number}: 10.0.2.{number + 1}/16" for number in range(vips)), "services:"]
    for number in range(services):
        behind = ", ".join(f"r{(number + place) % real_servers}: 1" for place in range(10))
        lines += [
            f"  - vip: v{number % vips}",
            f"    port: {8000 + number // vips}",
            "    scheduler: wlc",
            f"    real_servers: {{{behind}}}",
        ]
    return "\n".join(lines) + "\n"


def _cpu(call: Callable[[], object]) -> float:
    begin = time.thread_time()
    call()
    return MILLI * (time.thread_time() - begin)
