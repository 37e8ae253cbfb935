"""`lbmaster events`: what happened, and what happens."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import dataclasses
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

from lbmaster import protocol

from . import exits
from .context import Settings, failure, json_option, pass_settings
from .screen import show_fields, show_json
from .text import clock
from .verb import Verb

if TYPE_CHECKING:
    from lbmaster.client import Event

NEWEST: Final = 50
MASTER: Final = "(master)"
WIDTHS: Final = (7, 28, 12, 12, 22)


@click.command(cls=Verb, epilog=exits.HELP)
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--since", type=click.IntRange(min=0), metavar="CURSOR", help="Only what came after this; 0: everything.")
@click.option("--type", "types", multiple=True, metavar="GLOB", help="Only these types, such as 'vrrp.*'; repeatable.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="Only from these hosts; repeatable.")
@click.option("--cluster", metavar="NAME", help="Only of this cluster.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@json_option
@pass_settings
def events(
    settings: Settings,
    follow: bool,
    since: int | None,
    types: tuple[str, ...],
    hosts: tuple[str, ...],
    cluster: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show what happened, and what happens.

    That is the journal: transitions, failovers, drift, pushes, lost minions. Without --since the newest 50; with --follow only what comes from now on. Every line begins with the event's cursor:
    hand it to --since to go on after that event. With --follow it waits while the master is restarted, and misses
    nothing. Columns (one tab between them in a pipe): cursor, local time of the host, cluster, host, type, what
    happened. With --json a document per line, as described in docs/events.md.

    \b
    Examples:
      lbmaster events --follow
      lbmaster events --since 0 --type failover --type 'vrrp.*'
      lbmaster events --host netology3 --limit 10
      lbmaster events --follow --json | jq 'select(.type == "minion.lost")'
    """
    import asyncio  # noqa: PLC0415 - takes its time, and --help shall be quick

    from lbmaster import client  # noqa: PLC0415

    where = settings.events
    newest = NEWEST if since is None and not follow else None

    async def run() -> None:
        if follow:
            await _reachable(where)
        stream = client.events(
            since, follow=follow, types=types, hosts=hosts, cluster=cluster, limit=limit or newest, socket=where
        )
        async with aclosing(stream):
            async for event in stream:
                _show(event, as_json=as_json)

    try:
        asyncio.run(run())
    except protocol.ConversationError as error:
        raise failure(error) from error


async def _reachable(where: protocol.Where) -> None:
    """Say at once when no master runs: a client waits for it, a person wants to know."""
    from lbmaster import client  # noqa: PLC0415 - asyncio takes its time

    async for _ in client.events(follow=False, limit=0, socket=where):
        pass


def _show(event: Event, *, as_json: bool) -> None:
    if as_json:
        show_json(dataclasses.asdict(event), one_line=True)
        return
    from .sentences import sentence, tone_of  # noqa: PLC0415 - loaded when needed: --help stays quick

    what = sentence(event.type, event.data)
    place = (event.cluster or "-", event.minion or MASTER)
    fields = (str(event.cursor), clock(event.time), *place, event.type, what)
    show_fields(fields, WIDTHS, tone_of(event.type, event.data))
