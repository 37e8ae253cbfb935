"""`lbmaster stats`: the IPVS figures of all directors."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Final

import click

from . import exits
from .context import Failure, Settings, ask, json_option, pass_settings
from .page import Line, Page
from .screen import changing, on_terminal, show, show_json
from .text import clock
from .verb import Verb

INTERVAL: Final = 1.0
"""Seconds; the directors send their figures as often."""


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("cluster", required=False)
@click.option("--rate", is_flag=True, help="Show rates per second instead of counters.")
@click.option("--watch", is_flag=True, help="Show them again every second, until Ctrl-C.")
@json_option
@pass_settings
def stats(settings: Settings, cluster: str | None, rate: bool, watch: bool, as_json: bool) -> None:
    """Show `ipvsadm -Ln --stats` of the whole cluster.

    Figures are summed over the directors (all), and each director's own. Conns, InPkts, OutPkts, InBytes and OutBytes count since the entry was made. With --rate: CPS (connections per
    second), InPPS, OutPPS, InBPS, OutBPS (packets and bytes per second), which the kernel averages over some seconds.
    With direct routing the answers do not pass the director: OutPkts and OutBytes stay 0.

    ActiveConn counts connections that are ESTABLISHED or being opened. InActConn counts all others that the kernel still
    remembers (FIN_WAIT, TIME_WAIT, and UDP until it times out): a large InActConn is normal with short connections and
    no count of errors.

    In a pipe the columns are separated by one tab, and --json writes one document per line with --watch.

    \b
    Examples:
      lbmaster stats
      lbmaster stats --rate --watch
      lbmaster stats netology | awk -F'\\t' '$4 == "all"'
    """
    if not watch:
        _once(settings, cluster, rate=rate, as_json=as_json)
        return
    with ExitStack() as stack:
        update = stack.enter_context(changing()) if on_terminal() and not as_json else show
        while True:
            if as_json:
                show_json(ask(settings, "stats", {"cluster": cluster}), one_line=True)
            else:
                update(_watched(settings, cluster, rate=rate))
            time.sleep(INTERVAL)


def _once(settings: Settings, cluster: str | None, *, rate: bool, as_json: bool) -> None:
    if as_json:
        show_json(ask(settings, "stats", {"cluster": cluster}))
    else:
        show(_page(settings, cluster, rate=rate))


def _watched(settings: Settings, cluster: str | None, *, rate: bool) -> Page:
    """Show that the master is away, and go on: it may come back."""
    now = Line(clock(time.time()), "dim")
    try:
        return (now, *_page(settings, cluster, rate=rate), Line())
    except Failure as error:
        if error.code != exits.NO_MASTER:
            raise
        return (now, Line(f"{error}; trying again", "bad"), Line())


def _page(settings: Settings, cluster: str | None, *, rate: bool) -> Page:
    answer = ask(settings, "stats", {"cluster": cluster})
    from .answers import Stats, read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .render_stats import stats_page  # noqa: PLC0415

    return stats_page(read(answer, Stats), rate=rate, terminal=on_terminal())
