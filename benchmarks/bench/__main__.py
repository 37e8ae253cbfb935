"""`benchmarks/run`: measures what was asked for, prints the table, writes the JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from lbmaster.client import ConversationError

from . import events, peer, push, reaction, resources
from .director import kernel_has_ipvs
from .figures import Figure, table
from .peer import Salt
from .processes import BenchmarkError

CHOICES = ("push", "events", "reaction", "resources")


def main() -> int:
    """Run; the exit code is 1 when something could not be measured. A missed aim is a finding, and no failure."""
    arguments = _parser().parse_args()
    # A supervisor's SIGTERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    machine = _machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n", file=sys.stderr)
    salt = None if arguments.no_salt else _salt()
    figures: list[Figure] = []
    failed = []
    for name in CHOICES if arguments.what == "all" else (arguments.what,):
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            figures += _measure(name, quick=arguments.quick, salt=salt)
        except (BenchmarkError, ConversationError, subprocess.SubprocessError, OSError) as error:
            print(f"benchmarks/run: {name}: {error}", file=sys.stderr)
            failed.append(name)
    machine["load average at the end"] = _load()
    print(table(figures))
    if arguments.json:
        written = {"machine": machine, "failed": failed, "figures": [figure.plain() for figure in figures]}
        arguments.json.write_text(json.dumps(written, indent=2) + "\n")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=__doc__)
    parser.add_argument("what", nargs="?", choices=(*CHOICES, "all"), default="all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--no-salt", action="store_true", help="measure only ourselves")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    return parser


def _measure(name: str, *, quick: bool, salt: Salt | None) -> Iterator[Figure]:
    match name:
        case "push":
            return push.measure(quick=quick, salt=salt)
        case "events":
            return events.measure(quick=quick, salt=salt)
        case "reaction":
            return reaction.measure(quick=quick)
        case _:
            return resources.measure(quick=quick, salt=salt)


def _salt() -> Salt | None:
    try:
        return Salt.install()
    except (BenchmarkError, subprocess.SubprocessError, OSError) as error:
        print(f"benchmarks/run: without Salt beside us: {error}", file=sys.stderr)
        return None


def _machine() -> dict[str, str]:
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cores": str(os.cpu_count()),
        "kernel": platform.release() + ("" if kernel_has_ipvs() else ", without ip_vs"),
        "python": platform.python_version(),
        "lbmaster": version("lbmaster"),
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("pyzmq", "msgspec", "msgpack", "cryptography")),
        "salt": peer.VERSION,
        "load average": _load(),
    }


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    sys.exit(main())
