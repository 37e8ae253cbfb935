"""`lbmaster keys`: who may join."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import re
from typing import Final

import click

from .context import Settings, ask, json_option, pass_settings
from .page import Cell, Column, Line, Table, Tone
from .screen import show, show_json
from .text import clock, duration, seconds
from .verb import Family

FINGERPRINT: Final = re.compile(r"[a-z2-7]{52}")
COLUMNS: Final = (
    Column("NAME"),
    Column("STATE"),
    Column("SEEN"),
    Column("SINCE"),
    Column("ADDRESS"),
    Column("FINGERPRINT"),
)
TONES: Final[dict[str, Tone]] = {"accepted": "good", "pending": "warn", "rejected": "bad", "revoked": "bad"}
DONE: Final = {"accept": "accepted", "reject": "rejected", "revoke": "revoked"}


@click.group(cls=Family)
def keys() -> None:
    """Say which minions may join, and make tokens.

    A minion that joins shows up as pending, and gets nothing until its key is accepted. Compare the fingerprint with
    what `lbminion status` shows on that host.

    \b
    Examples:
      lbmaster keys list
      lbmaster keys accept netology1 netology2
      lbmaster keys token --ttl 1h --name netology3
    """


@keys.command("list")
@json_option
@pass_settings
def list_keys(settings: Settings, as_json: bool) -> None:
    """Show every key: accepted, pending, rejected and revoked.

    \b
    Examples:
      lbmaster keys list
      lbmaster keys list --json | jq -r '.keys[] | select(.state == "pending") | .name'
    """
    answer = ask(settings, "keys.list")
    if as_json:
        show_json(answer)
        return
    from .answers import Keys, read  # noqa: PLC0415 - loaded when needed: --help stays quick

    listed = read(answer, Keys).keys
    if not listed:
        show((Line("No keys yet: run `lbminion join` on a host.", terminal_only=True),))
    rows = tuple(
        (
            Cell(key.name, "bold"),
            Cell(key.state, TONES.get(key.state, "plain")),
            Cell("never" if key.last_seen is None else f"{seconds(key.last_seen)} ago"),
            Cell(clock(key.since) if key.since else ""),
            Cell(key.address or ""),
            Cell(key.fingerprint, "dim"),
        )
        for key in sorted(listed, key=lambda key: (key.state != "pending", key.name))
    )
    show((Table(COLUMNS, rows),))


@keys.command()
@click.argument("minions", metavar="NAME|FINGERPRINT...", nargs=-1, required=True)
@pass_settings
def accept(settings: Settings, minions: tuple[str, ...]) -> None:
    """Let these minions in.

    \b
    Examples:
      lbmaster keys accept netology1
      lbmaster keys accept netology1 netology2 netology3 netology4
    """
    _decide(settings, "accept", minions)


@keys.command()
@click.argument("minions", metavar="NAME|FINGERPRINT...", nargs=-1, required=True)
@pass_settings
def reject(settings: Settings, minions: tuple[str, ...]) -> None:
    """Turn away minions that are pending.

    \b
    Example:
      lbmaster keys reject netology9
    """
    _decide(settings, "reject", minions)


@keys.command()
@click.argument("minions", metavar="NAME|FINGERPRINT...", nargs=-1, required=True)
@pass_settings
def revoke(settings: Settings, minions: tuple[str, ...]) -> None:
    """Shut out minions that were accepted.

    From now on nothing is sent to them, and nothing taken from them. What they run they keep running: take a host out of the cluster file and push before you revoke its key.

    \b
    Example:
      lbmaster keys revoke netology2
    """
    _decide(settings, "revoke", minions)


@keys.command()
@click.option("--ttl", type=duration, default="1h", show_default=True, help="How long it can be used: 30m, 1h, 2d.")
@click.option("--name", metavar="HOST", help="Only this host may use it.")
@json_option
@pass_settings
def token(settings: Settings, ttl: float, name: str | None, as_json: bool) -> None:
    """Make a token to join with.

    A minion that joins with it is accepted at once; it can be used one time. Only the token goes to standard output.

    \b
    Examples:
      lbmaster keys token --ttl 30m --name netology1
      TOKEN=$(lbmaster keys token)
    """
    answer = ask(settings, "keys.token", {"ttl": ttl, "name": name})
    if as_json:
        show_json(answer)
        return
    from .answers import Token, read  # noqa: PLC0415 - loaded when needed: --help stays quick

    made = read(answer, Token)
    click.echo(f"Valid until {clock(made.expires)}, for one minion:", err=True)
    show((Line(made.token),))


def _decide(settings: Settings, verb: str, minions: tuple[str, ...]) -> None:
    for minion in minions:
        field = "fingerprint" if FINGERPRINT.fullmatch(minion) else "name"
        ask(settings, f"keys.{verb}", {field: minion})
        show((Line(f"{minion}: {DONE[verb]}", TONES[DONE[verb]]),))
