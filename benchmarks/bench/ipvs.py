"""`benchmarks/ipvs`: the speed of programming, reading, planning and sampling IPVS, beside its peers, in a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from . import guest, ipvs_host
from .figures import number
from .ipvs_cluster import DESTINATIONS, OBJECTS, SERVICES
from .processes import BenchmarkError

ROUNDS: Final = 5
GUEST_SECONDS: Final = 900.0
SAMPLE_MILLISECONDS: Final = 1000.0
"""A sample is taken every second: milliseconds of CPU are per mille of a core."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, in rounds; `limit` bounds `value`, which is a ratio to the peer's median or a figure alone."""

    what: str
    unit: str
    rounds: tuple[float, ...]
    peer: str = ""
    peer_rounds: tuple[float, ...] = ()
    limit: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def value(self) -> float:
        """Our median, in the peer's where there is one."""
        return self.median / statistics.median(self.peer_rounds) if self.peer_rounds else self.median

    @property
    def reached(self) -> bool | None:
        return None if self.limit is None else self.value <= self.limit


def main() -> int:
    """Measure and print; the exit code is 1 when something could not be measured. A missed aim is a finding."""
    arguments = _parser().parse_args()
    rounds = 3 if arguments.quick else ROUNDS
    try:
        seconds, recording = _in_guest(rounds, 1 if arguments.quick else rounds)
    except BenchmarkError as error:
        print(f"benchmarks/ipvs: {error}", file=sys.stderr)
        return 1
    rows = [*_guest_rows(seconds), *_host_rows(recording, rounds)]
    machine = _machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    print()
    print(table(rows))
    if arguments.json:
        figures = [{**asdict(row), "value": row.value, "reached": row.reached} for row in rows]
        arguments.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/ipvs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds, and one of pyroute2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    return parser


def _in_guest(rounds: int, pyroute2_rounds: int) -> tuple[dict[str, tuple[float, ...]], bytes]:
    with tempfile.TemporaryDirectory(prefix="lb-bench-") as folder:
        share = Path(folder)
        arguments = ["bench.ipvs_guest", str(rounds), str(pyroute2_rounds), "/run/share"]
        guest.run(share, arguments, seconds=GUEST_SECONDS)
        found = json.loads((share / "seconds.json").read_text())
        recording = (share / "recording").read_bytes()
    return {name: tuple(values) for name, values in found.items()}, recording


def _guest_rows(seconds: dict[str, tuple[float, ...]]) -> Iterable[Row]:
    apply = seconds["apply"]
    filled = f"fill with {SERVICES} services x {DESTINATIONS}"
    yield Row(filled, "s", apply, "ipvsadm -R", seconds["apply ipvsadm"], 1 / 10)
    yield Row(filled, "s", apply, "pyroute2", seconds["apply pyroute2"], 1 / 40)
    yield Row(filled, "s", apply, "bare loop", seconds["apply bare"], 2)
    ipvsadm = ("ipvsadm --stats", seconds["read ipvsadm"])
    yield Row(f"read {OBJECTS} statistics, all moving", "s", seconds["read moving"], *ipvsadm, 1 / 3)
    yield Row(f"read {OBJECTS} statistics, none moving", "s", seconds["read again"], *ipvsadm, 1 / 3)
    yield Row(f"read {OBJECTS} statistics, for the first time", "s", seconds["read"], *ipvsadm)
    yield Row(
        f"read {OBJECTS} statistics, for the first time", "s", seconds["read"], "pyroute2", seconds["read pyroute2"]
    )
    yield Row("read, and change one weight", "s", seconds["one weight"])


def _host_rows(recording: bytes, rounds: int) -> Iterable[Row]:
    planned = ipvs_host.planning(recording, rounds)
    yield Row(f"plan of {OBJECTS}, nothing to do", "ms CPU", tuple(planned["nothing"]), limit=50)
    yield Row(f"plan of {OBJECTS}, one weight", "ms CPU", tuple(planned["one weight"]), limit=50)
    for share, change_every in (("nothing", 0), ("a tenth", 10), ("everything", 1)):
        found, size = ipvs_host.sampling(recording, change_every, 2 * rounds)
        percent = tuple(100 * value / SAMPLE_MILLISECONDS for value in found)
        what = f"sample of {OBJECTS} each second, {share} changed ({number(size / 1000)} kB sent)"
        yield Row(what, "% core", percent, limit=10)
    yield Row("check and compile 200 hosts, 1,000 services", "ms CPU", tuple(ipvs_host.compiling(rounds)), limit=500)


_HEADER: Final = ("WHAT", "UNIT", "MEDIAN", "MIN", "MAX", "N", "PEER", "MEDIAN", "RATIO", "AIM", "")
_LEFT: Final = (0, 1, 6)


def table(rows: Iterable[Row]) -> str:
    """Lay the rows out; a ratio is ours in the peer's: smaller is better."""
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in _LEFT else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    peer = number(statistics.median(row.peer_rounds)) if row.peer_rounds else ""
    ratio = f"1/{number(1 / row.value)}" if row.value < 1 else number(row.value)
    limit = ""
    if row.limit is not None:
        limit = f"<= 1/{number(1 / row.limit)}" if row.limit < 1 else f"<= {number(row.limit)}"
    verdict = {True: "yes", False: "NO", None: ""}[row.reached]
    return (
        row.what, row.unit, number(row.median), number(min(row.rounds)), number(max(row.rounds)), str(len(row.rounds)),
        row.peer, peer, ratio if row.peer_rounds else "", limit, verdict,
    )  # fmt: skip


def _machine() -> dict[str, str]:
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cores": str(os.cpu_count()),
        "kernel of the host": platform.release(),
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("pyroute2", "msgspec", "msgpack", "pydantic")),
        "load average": " ".join(f"{value:.1f}" for value in os.getloadavg()),
    }


if __name__ == "__main__":
    sys.exit(main())
