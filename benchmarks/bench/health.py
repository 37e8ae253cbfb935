"""`benchmarks/health`: what watching 1,000 real servers costs, and how soon it is found that they are gone, in a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

DESTINATIONS: Final = 1000
INTERVAL, TIMEOUT, FALL = 2.0, 1.0, 3
SHARE_LIMIT: Final = 15.0
"""Per cent of one core, for checks by TCP."""
FOUND_LIMIT: Final = INTERVAL * FALL + TIMEOUT


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured; `limit` bounds `value`."""

    what: str
    unit: str
    value: float
    limit: float | None = None

    @property
    def reached(self) -> bool | None:
        return None if self.limit is None else self.value <= self.limit


def main() -> int:
    """Measure and print; the exit code is 1 when something could not be measured. A missed aim is a finding."""
    arguments = _parser().parse_args()
    seconds = 6.0 if arguments.quick else 20.0
    try:
        rows = [row for kind in ("tcp", "http") for row in _rows(kind, seconds)]
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        print(f"benchmarks/health: {error}", file=sys.stderr)
        return 1
    _print(rows)
    if arguments.json:
        found = [asdict(row) | {"reached": row.reached} for row in rows]
        arguments.json.write_text(json.dumps({"time": time.time(), "rows": found}, indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/health", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure for 6 s instead of 20 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser


def _rows(kind: str, seconds: float) -> list[Row]:
    """Measure one kind of check."""
    with _namespace() as name:
        command = ["ip", "netns", "exec", name, sys.executable, "-m", "bench.health_watcher", kind, str(seconds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + 120)
    found = json.loads(done.stdout)
    if found["found"] != DESTINATIONS:
        raise ValueError(f"{kind}: {found['found']} of {DESTINATIONS} real servers were found to be gone")
    by = f"{DESTINATIONS} every {INTERVAL:g} s by {kind}"
    return [
        Row(f"{by}: share of one core", "%", found["share"], SHARE_LIMIT if kind == "tcp" else None),
        Row(f"{by}: probes per second", "1/s", found["rate"]),
        Row(f"{by}: CPU of one probe", "us", found["microseconds"]),
        Row(f"{by}: all die at once, half are known to", "s", found["median"]),
        Row(f"{by}: all die at once, the last is known to", "s", found["last"], FOUND_LIMIT),
    ]


@contextmanager
def _namespace() -> Iterator[str]:
    """Make a network namespace in which 10.200.0.0/16 and 10.201.0.0/16 are its own addresses."""
    name = f"lbbench-{secrets.token_hex(4)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for words in ("link set lo up", "route add local 10.200.0.0/15 dev lo"):
            subprocess.run(["ip", "-n", name, *words.split()], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def _print(rows: list[Row]) -> None:
    width = max(len(row.what) for row in rows)
    print(f"{'WHAT':<{width}}  UNIT    VALUE  LIMIT")
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:5g}{'' if row.reached else '  NO'}"
        print(f"{row.what:<{width}}  {row.unit:<4}  {row.value:7.1f}  {limit}".rstrip())
    print(f"kernel {platform.release()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    sys.exit(main())
