"""The options of commands that begin a rollout, and what the master is told of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from lbmaster.protocol import Json

from .text import duration

Command = TypeVar("Command", bound=Callable[..., Any])


def _seconds(text: str) -> float:
    """Read the option's value, a function as click takes them for a type."""
    return 0.0 if text in ("0", "0s") else duration(text)


def _share(text: str) -> str:
    """Read the option's value: how many go first."""
    number = text.removesuffix("%")
    most = 100 if text.endswith("%") else 999_999
    if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= most):
        raise click.BadParameter(f"{text!r}: write how many real servers go first, such as 2, or a share, such as 10%")
    return text


_OPTIONS: Final = (
    click.option(
        "--timeout", type=duration, default="60s", show_default=True, help="How long all may take, but for pauses."
    ),
    click.option("--wave-timeout", type=duration, help="How long the hosts of one wave may take. [default: --timeout]"),
    click.option(
        "--allow-missing", metavar="HOST,...", multiple=True, help="Hosts that need not be there; they catch up."
    ),
    click.option("--canary", type=_share, metavar="N|N%", help="How many of the real servers go first, at least one."),
    click.option(
        "--pause", type=click.Choice(["canary", "every wave"]), help="Wait there for lbmaster rollout resume, or abort."
    ),
    click.option(
        "--switch-first", is_flag=True, help="Move VIPs to a changed director before their holder is changed."
    ),
    click.option(
        "--drain",
        type=_seconds,
        default="30s",
        show_default=True,
        help="How long connections of what is removed may take to end; 0: cut them.",
    ),
    click.option("--below-floor", is_flag=True, help="Take out more of a pool at once than most_out allows."),
    click.option("--no-gates", is_flag=True, help="Do not look between the waves whether it hurts."),
    click.option("--no-rollback", is_flag=True, help="When it fails, leave every host as it is then."),
    click.option("--wait", is_flag=True, help="Queue behind a rollout that is under way."),
    click.option("--reason", default="", help="Why, for the history and the journal."),
)


def rollout_options(command: Command) -> Command:
    """Give a command the options of a rollout."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def told(options: dict[str, Any]) -> Json:
    """Write the options for the master; what was not given is left to it."""
    missing = [host for several in options["allow_missing"] for host in several.split(",") if host]
    chosen = {
        "wave_timeout": options["wave_timeout"],
        "allow_missing": missing or None,
        "canary": options["canary"] or None,
        "pause": options["pause"],
        "switch_first": options["switch_first"] or None,
        "drain": options["drain"],
        "below_floor": options["below_floor"] or None,
        "gates": False if options["no_gates"] else None,
        "rollback": False if options["no_rollback"] else None,
        "wait": options["wait"] or None,
    }
    return {
        "timeout": options["timeout"],
        "reason": options["reason"] or None,
        "options": {name: value for name, value in chosen.items() if value is not None},
    }
