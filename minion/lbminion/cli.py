"""`lbminion`: join, run, status, plan, doctor, rotate-key."""

# ruff: noqa: D301 - click wants the backspace character itself

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Final, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from lbservice import log
from lbservice.database import Unusable
from lbservice.keys import fingerprint, load_or_make_curve
from lbstates.errors import StateError
from lbwire.messages import Step, Symptom

from .config import DEFAULT_PATH, JOIN_PORT, BadConfig, read_config
from .errors import HostError
from .keepalived.errors import KeepalivedError
from .status import Status, read_status, unwell

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 2
EXIT_CHANGES: Final = 3
"""`plan` found something to change."""

_SIGNS: Final = {"add": "+", "set": "~", "remove": "-"}
_FRESH_SECONDS: Final = 10
_LOOK_SECONDS: Final = 0.2


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what an operator can mend into a sentence on standard error and an exit code."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BadConfig as error:
            _fail(str(error), EXIT_CONFIG)
        except (HostError, KeepalivedError, StateError, Unusable, sqlite3.Error, OSError, ValueError) as error:
            _fail(str(error), EXIT_FAILED)

    return wrapped


def _fail(text: str, code: int) -> NoReturn:
    click.echo(f"lbminion: {text}", err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("lbmaster"), prog_name="lbminion")
@click.option(
    "--config", type=click.Path(path_type=Path), default=DEFAULT_PATH, show_default=True, envvar="LBMINION_CONFIG",
    help="The minion's configuration.",
)  # fmt: skip
@click.pass_context
def main(context: click.Context, config: Path) -> None:
    """The lbmaster minion: keeps this host's load-balancer state as the master declared it.

    \b
    A new host:
      lbminion join --master 172.28.128.50 --fingerprint FP --token T
      systemctl enable --now lbminion
    """
    context.obj = config


@main.command()
@click.option(
    "--master", required=True, metavar="ADDR[:PORT]", help=f"The master (port of its join endpoint: {JOIN_PORT})."
)
@click.option(
    "--fingerprint",
    required=True,
    metavar="FP",
    help="The master's key, as `lbmaster init` prints it.",
)
@click.option(
    "--token",
    default="",
    metavar="T",
    envvar="LBMINION_TOKEN",
    show_envvar=True,
    help="A one-time token of `lbmaster keys token`; without one the operator accepts the key. Others on this host can "
    "see it in the list of processes, but not in the environment.",
)
@click.option(
    "--name",
    default=socket.gethostname().partition(".")[0].lower(),
    show_default="the host's name",
    help="This host's name in the cluster file.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait to be accepted.",
)
@click.option(
    "--state-directory", type=click.Path(path_type=Path), default=Path("/var/lib/lbminion"), show_default=True
)
@click.option("--runtime-directory", type=click.Path(path_type=Path), default=Path("/run/lbminion"), show_default=True)
@click.option(
    "--keepalived-config",
    type=click.Path(path_type=Path),
    default=Path("/etc/keepalived/keepalived.conf"),
    show_default=True,
)
@click.pass_obj
@explained
def join(
    config: Path, master: str, fingerprint: str, token: str, name: str, timeout: float,
    state_directory: Path, runtime_directory: Path, keepalived_config: Path,
) -> None:  # fmt: skip
    """Join a master: make this host's keys, have them accepted, and pin the master's.

    \b
    With a token the host is accepted at once; without one, run there:
      lbmaster keys accept NAME
    Running it again is safe: the host keeps its key, and a configuration for
    another master is never overwritten.

    \b
    Example:
      lbminion join --master 172.28.128.50 --fingerprint mzxw6ytb... --token 7kq2...
    """
    from . import enrol  # noqa: PLC0415 - only this command needs it

    request = enrol.Joining(
        master, fingerprint, token, name, timeout, state_directory, runtime_directory, keepalived_config
    )
    asyncio.run(enrol.join(request, config, click.echo))


@main.command()
@click.pass_obj
@explained
def run(config: Path) -> None:
    """Run the service in the foreground (systemd does this: lbminion.service).

    \b
    Stopping it changes nothing on the host: keepalived and the IPVS table go on.
    """
    from .service import serve  # noqa: PLC0415 - the other commands do without sockets

    settings = read_config(config)
    log.configure(settings.log_level)
    # Its debugging output is every netlink message.
    logging.getLogger("pyroute2").setLevel(logging.INFO)
    asyncio.run(serve(settings))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
@explained
def status(config: Path, as_json: bool) -> None:
    """Show what the running minion holds, and whether the master hears it.

    \b
    Exit code 0 when the service runs, 1 when it does not.
    """
    settings = read_config(config)
    found = read_status(settings.runtime)
    age = time.time() - found.sample.time if found else 0.0
    if found is None or age > max(_FRESH_SECONDS, 3 * settings.sample_interval):
        seen = f" (last seen {age:.0f} s ago)" if found else ""
        _fail(f"the service is not running{seen}: systemctl start lbminion", EXIT_FAILED)
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_status_lines(found)))


def _status_lines(status: Status) -> Iterator[str]:
    # A revoked key's connection may go on, unheard.
    link = (
        ("connected" if status.online else "not reachable")
        if status.accepted
        else "this host's key is not accepted there"
    )
    yield f"{status.name}, key {status.fingerprint}"
    yield f"master {status.master} ({link})"
    for cluster, holding in sorted(status.sample.holdings.items()):
        yield f"cluster {cluster}: generation {holding.applied} in force, {holding.staged} staged"
    for instance, role in sorted(status.sample.roles.items()):
        yield f"VRRP instance {instance}: {role.state}, priority {role.priority}, VIPs {' '.join(role.vips) or '-'}"
    if status.sample.keepalived:
        yield f"keepalived: {status.sample.keepalived}"
    drift = status.sample.drift
    yield f"drift: {drift} not as declared, see `lbminion plan`" if drift else "drift: none"
    yield from (f"  {line}" for line in status.undone)
    if lines := unwell(status.sample.health):
        yield "health:"
        yield from (f"  {line}" for line in lines)


@main.command("rotate-key")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@click.pass_obj
@explained
def rotate_key(config: Path, timeout: float) -> None:
    """Replace this host's key; the running service proves the new one by the old one.

    \b
    The host keeps its name and its place at the master, and nothing that is
    balanced is interrupted. Until the master has let the new key in either one
    works; interrupted anywhere, the service goes on with it.
    """
    from .rotation import next_path  # noqa: PLC0415 - only this command needs it

    settings = read_config(config)
    new = load_or_make_curve(next_path(settings.curve_key))
    deadline = time.monotonic() + timeout
    while next_path(settings.curve_key).exists():
        if time.monotonic() > deadline:
            _fail(
                f"the master has not let the new key in for {timeout:.0f} s: does the service run, and reach it"
                " (lbminion status)? It goes on trying; the old key stays valid meanwhile",
                EXIT_FAILED,
            )
        time.sleep(_LOOK_SECONDS)
    click.echo(f"this host's key is {fingerprint(new.public)}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="The steps as a JSON list.")
@click.pass_obj
@explained
def plan(config: Path, as_json: bool) -> None:
    """Show what would change now, from the last signed state on disk; the master is not needed.

    \b
    Changes nothing. Exit code 0 when the host is as it shall be, 3 when something
    would change.
    """
    from .offline import plan_offline  # noqa: PLC0415

    steps = asyncio.run(plan_offline(read_config(config)))
    if as_json:
        click.echo(msgspec.json.encode(steps).decode())
    else:
        for step in steps:
            _print_step(step)
        click.echo(f"{len(steps)} to change." if steps else "No changes: the host is as the last released state says.")
    if steps:
        sys.exit(EXIT_CHANGES)


def _print_step(step: Step) -> None:
    subject = step.kind if step.kind == step.identity else f"{step.kind} {step.identity}"
    said = " -> ".join(text for text in (step.before, step.after) if text)
    click.echo(f"{_SIGNS.get(step.verb, '?')} {subject}{': ' if said else ''}{said}")
    for line in step.detail.splitlines():
        click.echo(f"    {line}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="The symptoms as a JSON list.")
@click.pass_obj
@explained
def doctor(config: Path, as_json: bool) -> None:
    """Look at this host for what is known to break clusters; changes nothing.

    \b
    Compares with the last released state, asks the neighbours by ARP, listens for
    VRRP advertisements for some intervals, reads settings, tables and listeners.
    Needs root; works beside the running service, and without it and the master.
    What only shows between hosts is found by `lbmaster doctor`.
    Exit code 0 when there is no error (there may be warnings), 1 when there is one.
    """
    from .doctor.examine import examine  # noqa: PLC0415

    found = asyncio.run(examine(read_config(config))).symptoms
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for symptom in found:
            _print_symptom(symptom)
        click.echo(f"{len(found)} found." if found else "Nothing is wrong on this host.")
    if any(symptom.severity == "error" for symptom in found):
        sys.exit(EXIT_FAILED)


def _print_symptom(symptom: Symptom) -> None:
    click.echo(f"{symptom.severity} {symptom.id} {symptom.subject}: {symptom.seen}")
    click.echo(f"    means:  {symptom.means}")
    click.echo(f"    repair: {symptom.repair}")
