"""A longer run of one target, guided by coverage: `tests/fuzz/run`. Needs atheris, which nothing else does."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import atheris

PACKAGES = ["lbwire", "lbstates", "lbminion"]


def main() -> None:
    """Run one target until it has had enough inputs, or crashed; libFuzzer prints the numbers, and what crashed."""
    parser = argparse.ArgumentParser(prog="tests/fuzz/run", description=__doc__)
    parser.add_argument("target", metavar="TARGET", help="one of those in tests/fuzz/targets.py")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many inputs (1000000)")
    parser.add_argument("--seconds", type=int, default=0, help="stop after this time (0: never)")
    options, more = parser.parse_known_args()  # what is left is libFuzzer's

    with atheris.instrument_imports(include=PACKAGES):
        from .targets import TARGETS
    target = TARGETS.get(options.target)
    if target is None:
        parser.error(f"{options.target} is none of {', '.join(TARGETS)}")

    place = Path(os.environ["LB_FUZZ_CACHE"])
    corpus, found = place / "corpus" / target.name, place / "found" / target.name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    for case in target.cases():
        (corpus / f"case-{case.name}").write_bytes(case.read_bytes())
    print(f"what crashes goes to {found}/: mend it, and keep it in tests/fuzz/cases/{target.name}/", flush=True)  # noqa: T201
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-runs={options.inputs}",
        f"-max_total_time={options.seconds}",
        f"-max_len={target.longest}",
        f"-artifact_prefix={found}/",
        "-timeout=20",  # by the clock, for what never ends; slow is what `Target.feed` calls so
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        *more,
    ]
    atheris.Setup(arguments, target.feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
