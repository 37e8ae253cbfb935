"""Memory and idle CPU: one minion, and the master with fifty."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from .director import kernel_has_ipvs
from .figures import Figure, Spread, spread
from .peer import Salt
from .processes import cpu_seconds, resident
from .site import Site

MINIONS = 50
MINION_AIM_MB, MASTER_AIM_MB, IDLE_AIM = 45.0, 80.0, 0.5
_SETTLE = 10.0


def measure(*, quick: bool, salt: Salt | None) -> Iterator[Figure]:
    """Measure on one site of fifty, that was pushed to a few times and then left alone."""
    seconds = 20.0 if quick else 60.0
    peer_idle = salt.idle(seconds) if salt is not None else None
    if salt is not None and f"master {MINIONS}" not in salt.memory:
        salt.push(MINIONS, rounds=2)
    memory = salt.memory if salt is not None else {}
    with Site(MINIONS) as site:
        for turn in range(4):
            site.push(extra=turn % 2 == 0)
        time.sleep(_SETTLE)
        pids = [process.pid for name, process in site.minions.items() if name.startswith("r")]
        director, master = site.minions["d1"].pid, site.master.pid
        before = {pid: cpu_seconds(pid) for pid in (*pids, director, master)}
        time.sleep(seconds)
        used = {pid: 100 * (cpu_seconds(pid) - start) / seconds for pid, start in before.items()}
        minion_rss, director_rss, master_rss = map(
            spread, ([*map(resident, pids)], [resident(director)], [resident(master)])
        )
    yield Figure("resources", "minion: RSS", "MB", minion_rss, memory.get("minion"), MINION_AIM_MB)
    yield Figure("resources", "minion of a director: RSS", "MB", director_rss)
    yield Figure(
        "resources", f"master with {MINIONS} minions: RSS", "MB", master_rss, memory.get(f"master {MINIONS}"),
        MASTER_AIM_MB,
        note=_shared(memory) if memory else "",
    )  # fmt: skip
    idle = spread([used[pid] for pid in pids])
    yield Figure(
        "resources", "minion, idle, sampling every second: CPU", "%", idle, peer_idle, IDLE_AIM,
        note="a real server's: its samples have no IPVS counters in them, see the director's",
    )  # fmt: skip
    note = "" if kernel_has_ipvs() else "its counters are in memory; reading them from the kernel is not in it"
    yield Figure("resources", "minion of a director, idle: CPU", "%", spread([used[director]]), note=note)
    yield Figure("resources", f"master with {MINIONS} idle minions: CPU", "%", spread([used[master]]))


def _shared(memory: Mapping[str, Spread]) -> str:
    pss = memory.get(f"master {MINIONS} pss")
    return f"Salt's is the sum over its processes; with shared pages counted once {pss.median:.0f} MB" if pss else ""
