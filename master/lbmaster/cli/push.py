"""`lbmaster push`: make the hosts what the file says."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack

import click

from lbmaster.conversation import Json

from . import exits
from .check import FILE
from .context import Settings, ask, json_option, pass_settings, read_file, who
from .screen import changing, on_terminal, show, show_json
from .text import duration
from .verb import Verb


@click.command(cls=Verb, epilog=exits.HELP)
@FILE
@click.option("--timeout", type=duration, default="60s", show_default=True, help="How long it may take in all.")
@json_option
@pass_settings
def push(settings: Settings, file: str, timeout: float, as_json: bool) -> int:
    """Make every host of the cluster what the file says.

    Every host checks and plans first; when all of them can, they are released wave by wave. On a terminal the progress
    of every host is shown as it happens, in a pipe there is a line per happening. Exit code 0 only if all hosts have
    converged. Ctrl-C ends the watching, not the push. FILE may be - for standard input.

    \b
    Examples:
      lbmaster push cluster.yaml
      lbmaster push cluster.yaml && echo "in force everywhere"
      lbmaster push --json cluster.yaml | jq -r .outcome
    """
    text = read_file(file)
    arguments: Json = {"text": text, "file": file, "by": who(), "timeout": timeout}
    try:
        with ExitStack() as stack:
            answer = ask(settings, "push", arguments, on_note=None if as_json else _watch(stack))
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted: the push goes on at the master; see lbmaster status.\n")
        return exits.INTERRUPTED
    from .answers import Push, read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .render_plan import push_page  # noqa: PLC0415

    pushed = read(answer, Push)
    if as_json:
        show_json(answer)
    else:
        show(push_page(pushed, file))
    return exits.OK if pushed.outcome == "converged" else exits.FAILED


def _watch(stack: ExitStack) -> Callable[[Json], None]:
    from .answers import PushNote, read  # noqa: PLC0415 - loaded when needed: --help stays quick
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
