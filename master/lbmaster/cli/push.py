"""`lbmaster push`: make the hosts what the file says. And what it has in common with `rollback`: watching a rollout."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import click

from lbmaster.protocol import Json

from . import exits
from .check import FILE
from .context import Settings, ask, json_option, pass_settings, read_file, who
from .rollout_options import rollout_options, told
from .screen import changing, on_terminal, show, show_json
from .verb import Verb


@click.command(cls=Verb, epilog=exits.HELP)
@FILE
@rollout_options
@json_option
@pass_settings
def push(settings: Settings, /, file: str, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - click's options
    """Make every host of the cluster what the file says.

    Every host checks and plans first; when all of them can, they are released wave by wave: real servers, standby
    directors, then those with a VIP one by one. Behind every wave the cluster is looked at: every VIP has to have one
    MASTER, and nothing may newly fail. If a host cannot follow, or it hurts, everything goes back to what was in force
    before. What is removed is drained first. On a terminal the progress of every host is shown as it happens, in a pipe
    there is a line per happening. Exit code 0 only if all hosts have converged. Ctrl-C ends the watching, not the push.
    FILE may be - for standard input.

    \b
    Examples:
      lbmaster push cluster.yaml
      lbmaster push cluster.yaml --canary 10% --pause canary --reason "ticket 4711"
      lbmaster push cluster.yaml --allow-missing netology2
      lbmaster push --json cluster.yaml | jq -r .outcome
    """
    arguments: Json = {"text": read_file(file), "file": file, "by": who(), **told(options)}
    return roll_out(settings, "push", arguments, file, as_json=as_json)


def roll_out(settings: Settings, verb: str, arguments: Json, file: str, *, as_json: bool) -> int:
    """Ask the master for a rollout, show it on its way and its end; returns the exit code. `file` is what it is about."""
    phase = ""

    def note(told: Json) -> None:
        nonlocal phase
        phase = str(told.get("phase", "")) if told.get("phase") != "alive" else phase
        if shown is not None:
            shown(told)

    try:
        with ExitStack() as stack:
            shown = None if as_json else _watch(stack)
            answer = ask(settings, verb, arguments, on_note=note)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nInterrupted: {interrupted(verb, phase)}; see lbmaster rollout status.\n")
        return exits.INTERRUPTED
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import Push  # noqa: PLC0415
    from .render_plan import push_page  # noqa: PLC0415

    pushed = read(answer, Push)
    if as_json:
        show_json(answer)
    else:
        show(push_page(pushed, file))
    return exits.OK if pushed.outcome == "converged" else exits.FAILED


def interrupted(verb: str, phase: str) -> str:
    """Say what becomes of a rollout that nobody watches any more; `phase` was heard of last ("": nothing was)."""
    match phase:
        case "queued":  # nobody stands in the queue for who went away
            return f"the {verb} was still queued, and does not take place"
        case "":
            return f"the {verb} goes on at the master, if it had begun"
        case _:
            return f"the {verb} goes on at the master"


def _watch(stack: ExitStack) -> Callable[[Json], None]:
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import PushNote  # noqa: PLC0415
    from .render_push import Progress, is_news, note_line  # noqa: PLC0415

    progress = Progress()
    update = stack.enter_context(changing()) if on_terminal() else None

    def take(plain: Json) -> None:
        note = read(plain, PushNote)
        if update is not None:
            progress.take(note)
            update(progress.page())
        elif is_news(note):
            show((note_line(note),))

    return take
