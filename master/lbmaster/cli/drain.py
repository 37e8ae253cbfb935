"""`lbmaster drain` and `lbmaster undrain`: a real server gets no new connections, and gets them again."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import click

from lbmaster.protocol import Json

from . import exits
from .context import Settings, ask, pass_settings
from .deciding import decide, deciding_options, failed, given
from .page import Line
from .screen import changing, on_terminal, show, show_json
from .text import count, duration, seconds
from .verb import Verb

if TYPE_CHECKING:
    from .answers_status import Decided

POLL_SECONDS: Final = 1.0
SETTLED_SECONDS: Final = 2.5
"""A director counts once a second: before so long, a 0 may be older than the drain."""


def parse_target(text: str) -> Json:
    """Read HOST, HOST:VIP or HOST:VIP:PORT; an IPv6 VIP stands in brackets where a port follows."""
    host, _, rest = text.partition(":")
    vip, port = rest, ""
    if rest.startswith("["):
        vip, closed, port = rest[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise click.BadParameter(f"{text!r}: write HOST:[VIP]:PORT")
        port = port[1:]
    elif rest.count(":") == 1:
        vip, _, port = rest.partition(":")
    if not host or text.endswith(":") or (rest and not vip) or (port and not port.isdecimal()):
        raise click.BadParameter(f"{text!r} is no target; write HOST, HOST:VIP or HOST:VIP:PORT")
    return {"host": host, "vip": vip or None, "port": int(port) if port else None}


def _deadline(text: str) -> float:
    """Read the option's value, a function as click takes them for a type."""
    return 0.0 if text == "0" else duration(text)


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("target", metavar="HOST[:VIP[:PORT]]")
@click.option(
    "--deadline",
    type=_deadline,
    default="5m",
    show_default=True,
    help="When its connections should have ended; 0: do not wait for them.",
)
@deciding_options
@pass_settings
def drain(settings: Settings, /, target: str, deadline: float, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Give a real server no new connections, and wait until the old ones have ended.

    In all its services, or in those of a VIP (by name or address), or in one. Its weight becomes 0 on every director; its
    checks go on. It stays so, also over pushes and restarts, until lbmaster undrain; lbmaster status shows it. Refused if
    too few of the pool would be left (most_out in the cluster file), unless with --force. Ctrl-C ends the waiting, not the
    drain. Exit code 1: there were connections left at the deadline.

    \b
    Examples:
      lbmaster drain netology1 --reason "new disk"
      lbmaster drain netology1:web:443 --deadline 30m
      lbmaster drain netology1 && ssh netology1 reboot
    """
    arguments = given(options, **parse_target(target), deadline=deadline)
    answer = decide(settings, "drain", arguments, f"the drain of {target} goes on", as_json=as_json)
    if failed(answer, as_json=as_json):
        return exits.FAILED
    if not as_json:
        show((Line(f"{answer['what']} is drained: generation {answer['generation']} of {answer['cluster']}.", "bold"),))
    try:
        last = _wait(settings, answer, deadline, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted: {answer['what']} stays drained; see lbmaster status.\n")
        return exits.INTERRUPTED
    if as_json:
        show_json({**answer, "connections": None if last is None else last.connections})
    return exits.OK if not deadline or (last is not None and last.done) else exits.FAILED


def _wait(settings: Settings, answer: Json, deadline: float, *, as_json: bool) -> Decided | None:
    """Show how many connections are left until none is, or the deadline has come; returns what was seen last."""
    started, last, told = time.monotonic(), None, ""
    with ExitStack() as stack:
        update = stack.enter_context(changing()) if on_terminal() and not as_json and deadline else None
        while (passed := time.monotonic() - started) < deadline:
            last = _look(settings, answer)
            if last is None:
                show((Line(f"{answer['what']} is not drained any more: somebody ended that.", "warn"),))
                return None
            said = _said(last, passed)
            if update is not None:
                update(tuple(_lines(last, passed)))
            elif not as_json and said != told:
                show((Line(said),))
            told = said
            if last.done and passed >= min(SETTLED_SECONDS, deadline):
                break
            time.sleep(min(POLL_SECONDS, max(deadline - passed, 0)))
    if deadline and not as_json and last is not None:
        show((_verdict(answer["what"], last, time.monotonic() - started),))
    return last


def _look(settings: Settings, answer: Json) -> Decided | None:
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_status import Status  # noqa: PLC0415

    status = read(ask(settings, "status", {"cluster": answer["cluster"]}), Status)
    decided = status.clusters[answer["cluster"]].interventions
    return next((it for it in decided if it.kind == "drain" and it.what == answer["what"]), None)


def _said(it: Decided, passed: float) -> str:
    if it.connections is None:
        return "not every director tells how many connections are left"
    if it.done and passed < SETTLED_SECONDS:
        return "no connections, so far"
    return f"{count(it.connections, 'connection')} left"


def _lines(it: Decided, passed: float) -> Iterator[Line]:
    yield Line(f"{_said(it, passed)} after {passed:.0f} s", "good" if it.done else "warn")
    for service, (active, inactive) in sorted(it.services.items()):
        yield Line(f"{service}: {active} active, {inactive} inactive", indent=2)


def _verdict(what: str, it: Decided, passed: float) -> Line:
    if it.done:
        return Line(f"{what} has no connections any more, after {seconds(passed)}.", "good")
    left = "an unknown number of connections" if it.connections is None else count(it.connections, "connection")
    return Line(f"{what} has {left} left after {seconds(passed)}; it stays drained.", "bad")


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("target", metavar="HOST[:VIP[:PORT]]")
@deciding_options
@pass_settings
def undrain(settings: Settings, /, target: str, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Give a real server connections again.

    HOST ends all that is drained of it; with a VIP (and a port), exactly that. Where its service has a check, it comes in
    as after a recovery, with slow_start if the cluster file says so.

    \b
    Examples:
      lbmaster undrain netology1
      lbmaster undrain netology1:web:443
    """
    arguments = given(options, **parse_target(target))
    answer = decide(settings, "undrain", arguments, f"{target} is being undrained", as_json=as_json)
    if failed(answer, as_json=as_json):
        return exits.FAILED
    if as_json:
        show_json(answer)
    else:
        show((Line(f"{answer['what']} takes connections: generation {answer['generation']}.", "good"),))
    return exits.OK
