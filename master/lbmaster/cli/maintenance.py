"""`lbmaster maintenance`: somebody works on a host."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

from typing import Any

import click

from . import exits
from .context import Settings, pass_settings
from .deciding import decide, deciding_options, failed, given
from .page import Line
from .screen import show, show_json
from .verb import Verb


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("host")
@click.argument("state", type=click.Choice(["on", "off"]))
@deciding_options
@pass_settings
def maintenance(settings: Settings, /, host: str, state: str, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Say that somebody works on a host, or that the work is done.

    A real server is drained, a director evacuated, and the host may be away without holding up a push: it gets what it
    missed when it returns. Who and why (--reason, which is required) stand in the journal, and in lbmaster status until it
    is off. A drain or an evacuation that was asked for apart from this stays.

    \b
    Examples:
      lbmaster maintenance netology1 on --reason "new disk, ticket 4711"
      lbmaster status                    # until it has no connections left
      lbmaster maintenance netology1 off
    """
    on = state == "on"
    if on and not options["reason"]:
        raise click.UsageError("say why: --reason TEXT")
    arguments = given(options, host=host, on=on)
    answer = decide(settings, "maintenance", arguments, "the change goes on", as_json=as_json)
    if failed(answer, as_json=as_json):
        return exits.FAILED
    if as_json:
        show_json(answer)
    else:
        said = f"{host} is in maintenance" if on else f"{host} is back at work"
        show((Line(f"{said}: generation {answer['generation']} of {answer['cluster']}.", "bold" if on else "good"),))
    return exits.OK
