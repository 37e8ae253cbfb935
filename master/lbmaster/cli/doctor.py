"""`lbmaster doctor`: what is wrong on the living cluster."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import click

from . import exits
from .context import Settings, ask, json_option, pass_settings
from .screen import show, show_json
from .text import duration
from .verb import Verb


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("cluster", required=False)
@click.option("--timeout", type=duration, default="12s", show_default=True, help="How long to wait for the hosts.")
@json_option
@pass_settings
def doctor(settings: Settings, cluster: str | None, timeout: float, as_json: bool) -> int:
    """Look for what is known to break clusters on every host; changes nothing.

    Every host examines itself for some seconds (what `lbminion doctor` does), then what they found is compared. Every symptom
    has the id of a pitfall (docs/pitfalls.md), what was seen, what it means, and the command or setting that
    repairs it. Exit code 0: no error was found and every host answered; there may be warnings.

    \b
    Examples:
      lbmaster doctor
      lbmaster doctor --json netology | jq '.clusters.netology.hosts'
    """
    answer = ask(settings, "doctor", {"cluster": cluster, "timeout": timeout})
    from .answers import Examined, read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .render_doctor import doctor_page, is_wrong  # noqa: PLC0415

    examined = read(answer, Examined)
    if as_json:
        show_json(answer)
    else:
        show(doctor_page(examined))
    return exits.FAILED if is_wrong(examined) else exits.OK
