"""`vagrant/demo`: boots the lab, plays the story with a line per step, and says what came of it."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from microvm.errors import LabError
from microvm.lab import Lab
from microvm.packages import require_root
from story import five, three
from story.cast import FIVE, THREE
from story.hosts import Hosts, Unexpected
from story.steps import Step


def main(argv: list[str] | None = None) -> int:
    """Play it; returns 0 when everything came out as it should, 1 when not."""
    arguments = _parser().parse_args(argv)
    # A supervisor's SIGTERM cleans up half a lab just as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(level=logging.INFO, format="   %(message)s", stream=sys.stderr)
    begin = time.monotonic()
    report: dict[str, Any] = {"steps": [], "passed": False}
    story, cast = (three.STORY, THREE) if arguments.three else (five.STORY, FIVE)
    machines = "six" if arguments.three else "five"
    lab = None
    try:
        require_root()
        print(f"Booting {machines} virtual machines (the first time, building their image takes some minutes) ...",
              flush=True)  # fmt: skip
        lab = Lab.up(cast.topology, name=arguments.name)
        report["boot_seconds"] = round(time.monotonic() - begin, 2)
        print(
            f"{machines.capitalize()} kernels with systemd are up after {report['boot_seconds']:.1f} s.\n", flush=True
        )
        play(Hosts(lab, cast=cast), report, story)
        report["passed"] = True
    except (LabError, Unexpected) as error:
        report["error"] = str(error)
        print(f"\nFAILED: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        report["error"] = "interrupted"
        print("\ninterrupted", file=sys.stderr)
    finally:
        if lab is not None and arguments.keep:
            print(f"\nThe lab stays up. Try: vagrant/lab --name {lab.name} run netology5 lbmaster status\n"
                  f"Take it down with: vagrant/lab --name {lab.name} down")  # fmt: skip
        elif lab is not None:
            lab.down()
    report["seconds"] = round(time.monotonic() - begin, 2)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n{'Everything came out as it should' if report['passed'] else 'Not as it should be'}"
          f": {len(report['steps'])} of {len(story)} steps, {report['seconds']:.0f} s in all.")  # fmt: skip
    return 0 if report["passed"] else 1


def play(hosts: Hosts, report: dict[str, Any], story: Sequence[Step] = five.STORY) -> None:
    """Play every step and print its line; raises what the first step that failed raised."""
    for number, step in enumerate(story, 1):
        print(f"{number:2}. {step.__doc__}", flush=True)
        begin = time.monotonic()
        outcome = step(hosts)
        elapsed = time.monotonic() - begin
        took = "" if outcome.seconds is None else f"  [{outcome.seconds:.2f} s]"
        print(f"    {outcome.said}{took}", flush=True)
        report["steps"].append({"name": step.__name__, "step_seconds": round(elapsed, 2), **asdict(outcome)})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vagrant/demo",
        description="Boots five virtual machines, pushes one cluster file, balances, fails over, heals, and shows it.",
    )
    parser.add_argument(
        "--three", action="store_true", help="six machines: three directors with a VIP each, two of which fail"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome with all figures to FILE")
    parser.add_argument("--keep", action="store_true", help="leave the lab up for playing")
    parser.add_argument("--name", default="demo", help="the lab's name, if another demo runs (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
