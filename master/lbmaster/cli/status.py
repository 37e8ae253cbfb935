"""`lbmaster status` and `lbmaster reconcile`: how the clusters are, and making them look again."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import click

from . import exits
from .context import Settings, ask, json_option, pass_settings, who
from .screen import show, show_json
from .text import duration
from .verb import Verb


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("cluster", required=False)
@json_option
@pass_settings
def status(settings: Settings, cluster: str | None, as_json: bool) -> None:
    """Show who holds which VIP, and how every host is.

    For every host: its generation, when it was last seen, its VRRP states, its drift. What is wrong is in capitals: SPLIT BRAIN, UNKNOWN, LOST, DRIFT, "6 OF 7" (generation 6 is applied, 7 is the
    current one). In a pipe the columns are separated by one tab. The exit code is 0 whatever the state of the
    cluster is; to be told of trouble, follow the events.

    \b
    Examples:
      lbmaster status
      lbmaster status netology | grep -E 'LOST|UNKNOWN|DRIFT|SPLIT'
      lbmaster status --json | jq '.clusters.netology.vips'
    """
    answer = ask(settings, "status", {"cluster": cluster})
    if as_json:
        show_json(answer)
        return
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_status import Status  # noqa: PLC0415
    from .render_status import status_page  # noqa: PLC0415

    show(status_page(read(answer, Status)))


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("cluster")
@click.option("--timeout", type=duration, default="10s", show_default=True, help="How long to wait for the hosts.")
@json_option
@pass_settings
def reconcile(settings: Settings, cluster: str, timeout: float, as_json: bool) -> int:
    """Make every host look at itself now, and heal what differs.

    Every host of the cluster compares itself with what was pushed. Hosts do that by themselves all the time; this is for those who do not want to wait. Exit code 0: every host
    answered, and nothing remains to be done.

    \b
    Examples:
      lbmaster reconcile netology
      lbmaster reconcile --json netology | jq '.hosts | map_values(.healed)'
    """
    arguments = {"cluster": cluster, "timeout": timeout, "reason": f"asked for by {who()}"}
    answer = ask(settings, "reconcile", arguments)
    from .answers import Reconciled, read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .render_plan import reconciled_page  # noqa: PLC0415

    reconciled = read(answer, Reconciled)
    if as_json:
        show_json(answer)
    else:
        show(reconciled_page(reconciled))
    wrong = any(host.silent or host.remaining for host in reconciled.hosts.values())
    return exits.FAILED if wrong else exits.OK
