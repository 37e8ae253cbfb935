"""From `push` to all converged, with N real servers that each have one address to add or to remove."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from .figures import Figure, Spread, spread
from .peer import Salt
from .processes import BenchmarkError, cpu_seconds
from .site import Site

SIZES = (1, 10, 50)
AIM_AT_50 = 0.535
"""Seconds: 20 times faster than the 10.7 s that Salt was measured at."""
AIM_TIMES = 20


def measure(*, quick: bool, salt: Salt | None) -> Iterator[Figure]:
    """Measure each size on a site of its own."""
    rounds = 5 if quick else 11
    for size in SIZES:
        theirs = salt.push(size, rounds=5) if salt is not None else {}
        yield from _figures(size, rounds, theirs)
    yield from _in_memory(SIZES[-1], rounds)


def _in_memory(size: int, rounds: int) -> Iterator[Figure]:
    with Site(size, memory=True) as site:
        site.push(extra=False)
        seconds = [_timed(site, extra=turn % 2 == 0)[1] for turn in range(rounds)]
    yield Figure("push", f"N={size}: the same, state directories in memory", "s", spread(seconds))


def _timed(site: Site, *, extra: bool) -> tuple[dict[str, Any], float]:
    begin = time.monotonic()
    pushed = site.push(extra=extra)
    return pushed, time.monotonic() - begin


def _figures(size: int, rounds: int, theirs: dict[str, Spread]) -> Iterator[Figure]:
    with Site(size) as site:
        first = site.push(extra=False)["seconds"]
        api, waves, cpu = [], [], []
        for turn in range(rounds):
            before = _cpu(site)
            pushed, seconds = _timed(site, extra=turn % 2 == 0)
            api.append(seconds)
            cpu.append(_cpu(site) - before)
            _check(pushed, size)
            waves.append(max(host["seconds"] for name, host in pushed["hosts"].items() if name.startswith("r")))
        cli = [_by_command(site, extra=(rounds + turn) % 2 == 0) for turn in range(5)]
    aim = min(AIM_AT_50, theirs["push"].median / AIM_TIMES if theirs else AIM_AT_50) if size == SIZES[-1] else None
    name = f"N={size}"
    yield Figure("push", f"{name}: push to all converged", "s", spread(api), theirs.get("push"), aim)
    yield Figure("push", f"{name}: until every real server has applied", "s", spread(waves))
    yield Figure("push", f"{name}: the command `lbmaster push`", "s", spread(cli))
    yield Figure("push", f"{name}: the first push (keepalived starts)", "s", spread([first]))
    yield Figure(
        "push", f"{name}: CPU per minion and push", "ms", spread([1000 * seconds / size for seconds in cpu]),
        theirs.get("cpu"),
    )  # fmt: skip


def _cpu(site: Site) -> float:
    return sum(cpu_seconds(process.pid) for name, process in site.minions.items() if name.startswith("r"))


def _check(pushed: dict[str, Any], size: int) -> None:
    """Every real server has to have changed one address, by its own account."""
    hosts = pushed["hosts"]
    changed = [name for name, host in hosts.items() if name.startswith("r") and len(host["steps"]) == 1]
    if len(changed) != size:
        raise BenchmarkError(f"{len(changed)} of {size} real servers changed one address")


def _by_command(site: Site, *, extra: bool) -> float:
    file = site.folder / "bench.yaml"
    file.write_text(site.cluster_file(extra=extra))
    begin = time.monotonic()
    done = subprocess.run(site.cli("push", "--json", file), capture_output=True, text=True, check=False, timeout=180)
    seconds = time.monotonic() - begin
    if done.returncode or not json.loads(done.stdout)["hosts"]["r1"]["steps"]:
        raise BenchmarkError(f"`lbmaster push` failed or changed nothing: {done.stderr or done.stdout[:500]}")
    return seconds
