"""What the commands share by which operators decide beside the file: options, asking, and the end of the story."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from lbmaster.protocol import Json

from . import exits
from .context import Failure, Settings, ask, json_option, who
from .screen import remark, show, show_json
from .text import duration

Command = TypeVar("Command", bound=Callable[..., Any])


def deciding_options(command: Command) -> Command:
    """Add the options that all of them have."""
    for option in (
        json_option,
        click.option(
            "--timeout", type=duration, default="60s", show_default=True, help="How long the rollout may take."
        ),
        click.option("--allow-missing", multiple=True, metavar="HOST", help="This host may be away; can be repeated."),
        click.option(
            "--force", "--below-floor", "force", is_flag=True, help="Do it although something speaks against it."
        ),
        click.option("--by", default=None, metavar="NAME", help="Who decides. [default: the user at the keyboard]"),
        click.option("--reason", default="", metavar="TEXT", help="Why, for the journal and for status."),
        click.option("--cluster", default=None, help="The cluster, if several have what is named."),
    ):
        command = option(command)
    return command


def given(options: dict[str, Any], **more: object) -> Json:
    """Put the common options into the arguments of a verb."""
    common = {
        "cluster": options["cluster"],
        "reason": options["reason"],
        "by": options["by"] or who(),
        "force": options["force"],
        "allow_missing": list(options["allow_missing"]),
        "timeout": options["timeout"],
    }
    return {**common, **more}


def decide(settings: Settings, verb: str, arguments: Json, said: str, *, as_json: bool) -> Json:
    """Ask for it, and show what is waited for; Ctrl-C ends the watching only (`said`: what goes on)."""
    try:
        return ask(settings, verb, arguments, on_note=None if as_json else _tell)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted: {said}; see lbmaster status.\n")
        raise Failure("nobody watches any more", exits.INTERRUPTED, "interrupted") from None


def _tell(note: Json) -> None:
    """Show what concerns all hosts, beside what the command prints; of single hosts its end tells what matters."""
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import PushNote  # noqa: PLC0415
    from .render_push import is_news, note_line  # noqa: PLC0415

    happening = read(note, PushNote)
    if is_news(happening) and not happening.host:
        remark(note_line(happening).text)


def failed(answer: Json, *, as_json: bool) -> bool:
    """Show the rollout if it did not converge, and say so."""
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import Change  # noqa: PLC0415
    from .render_plan import push_page  # noqa: PLC0415

    change = read(answer, Change)
    if change.outcome == "converged":
        return False
    if as_json:
        show_json(answer)
    else:
        show(push_page(change, f"the file of {change.cluster} in force"))
    return True
