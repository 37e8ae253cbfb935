"""`lbmaster plan`: what a push would change."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import click

from . import exits
from .check import FILE
from .context import Settings, ask, json_option, pass_settings, read_file
from .screen import show, show_json
from .text import duration
from .verb import Verb


@click.command(cls=Verb, epilog=exits.HELP)
@FILE
@click.option("--timeout", type=duration, default="10s", show_default=True, help="How long to wait for the hosts.")
@json_option
@pass_settings
def plan(settings: Settings, file: str, timeout: float, as_json: bool) -> int:
    """Show what `push` would change on every host; changes nothing.

    The hosts themselves compare the file with what they are: + is added, ~ is changed (before -> after), - is removed;
    details such as the difference of keepalived.conf stand below. Of thousands of changes on a host the first 500 are
    shown, and the others counted; `lbminion plan` there shows all. Exit code 0: every host could say, whether
    there are changes or not. FILE may be - for standard input.

    \b
    Examples:
      lbmaster plan cluster.yaml
      lbmaster plan --json cluster.yaml | jq '.hosts | map_values([.steps[].count] | add // 0)'
    """
    answer = ask(settings, "plan", {"text": read_file(file), "file": file, "timeout": timeout})
    from .answers import Plan, read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .render_plan import plan_page  # noqa: PLC0415

    planned = read(answer, Plan)
    if as_json:
        show_json(answer)
    else:
        show(plan_page(planned, file))
    return exits.FAILED if any(host.error for host in planned.hosts.values()) else exits.OK
