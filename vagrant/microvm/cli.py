"""The command line: ``lab up [TOPOLOGY] | down | status | run HOST COMMAND... | crash HOST | boot HOST``."""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

from microvm import lab as labs
from microvm import packages, paths
from microvm.errors import LabError
from microvm.lab import Lab


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab",
        description="A cluster of micro virtual machines on this machine: real kernels with IPVS, systemd, keepalived, nginx.",
        epilog="Two labs can run at once: --name (or the variable LAB_NAME) tells them apart.",
    )
    parser.add_argument("--name", default=labs.default_name(), help="the lab's name (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build what is missing, boot all guests, wait until they are ready")
    up.add_argument(
        "topology", nargs="?", type=Path, default=paths.TOPOLOGY, help="topology file (default: %(default)s)"
    )
    up.add_argument("--bare", action="store_true", help="do not install lbmaster in the guests")
    commands.add_parser("down", help="end all guests and remove everything of the lab")
    commands.add_parser("status", help="list the labs that are up, and their guests")
    run = commands.add_parser("run", help="run a command in a guest; input, output and exit code are the command's")
    run.add_argument("host")
    run.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="COMMAND...", help="one word is a line for the guest's shell"
    )
    for name, text in (("crash", "cut a guest's power"), ("boot", "start a guest that is off")):
        commands.add_parser(name, help=text).add_argument("host")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for what failed, of ``run`` that of the command in the guest."""
    arguments = _parser().parse_args(argv)
    # A supervisor's SIGTERM cleans up half a lab just as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(level=logging.INFO, format="lab: %(message)s", stream=sys.stderr)
    try:
        return _execute(arguments)
    except LabError as error:
        print("\n".join([f"lab: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
    return 1


def _execute(arguments: argparse.Namespace) -> int:
    packages.require_root()
    if arguments.command == "up":
        begin = time.monotonic()
        lab = Lab.up(arguments.topology, name=arguments.name, product=not arguments.bare)
        print(f"lab {lab.name}: {len(lab.topology.hosts)} guests ready in {time.monotonic() - begin:.1f} s")
        return 0
    if arguments.command == "status":
        return _status()
    lab = Lab.attach(arguments.name)
    if arguments.command == "down":
        lab.down()
    elif arguments.command == "crash":
        lab.crash(arguments.host)
    elif arguments.command == "boot":
        lab.boot(arguments.host)
    else:
        return _run(lab, arguments.host, arguments.words)
    return 0


def _run(lab: Lab, host: str, words: list[str]) -> int:
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        raise LabError("run needs a command: lab run HOST COMMAND...")
    guest = lab.guest(host)
    if not guest.running():
        raise LabError(f"{host} is not running; `lab boot {host}` starts it; {guest.console_tail()}")
    line = lab.access.words(guest, words[0] if len(words) == 1 else words)
    return subprocess.run(line, check=False).returncode


def _status() -> int:
    found = labs.names()
    if not found:
        print("no lab is up")
    for name in found:
        lab = Lab.attach(name)
        print(f"lab {name}: namespace {lab.namespace}, state {lab.directory}")
        for guest in lab.guests():
            state = "running" if guest.running() else "off"
            host = guest.host
            print(f"  {host.name:<12} {host.address:<15} {state:<8} {','.join(host.roles):<20} {guest.console}")
    return 0
