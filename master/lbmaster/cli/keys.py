"""`lbmaster keys`: who may join, and who may ask over the network."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import re
from pathlib import Path
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
    Column("ROLE"),
)
TONES: Final[dict[str, Tone]] = {"accepted": "good", "pending": "warn", "rejected": "bad", "revoked": "bad"}
DONE: Final = {"accept": "accepted", "reject": "rejected", "revoke": "revoked"}


@click.group(cls=Family)
def keys() -> None:
    """Say which minions may join and who may ask over the network; make tokens and keys.

    A minion that joins shows up as pending, and gets nothing until its key is accepted. Compare the fingerprint with
    what `lbminion status` shows on that host.

    \b
    Examples:
      lbmaster keys list
      lbmaster keys accept netology1 netology2
      lbmaster keys token --ttl 1h --name netology3
      lbmaster keys client alice --role operator
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

    found = read(answer, Keys)
    listed = [("minion", key) for key in found.keys] + [(key.role, key) for key in found.clients]
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
            Cell(role),
        )
        for role, key in sorted(listed, key=lambda it: (it[1].state != "pending", it[0] != "minion", it[1].name))
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
    """Shut out minions that were accepted, or keys of clients.

    From now on nothing is sent to them, and nothing taken from them; what they follow ends. What they run they keep running: take a host out of the cluster file and push before you revoke its key.

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


@keys.command("rotate-master")
@click.option("--finish", is_flag=True, help="Put the announced keys in force; every minion connects anew.")
@click.option(
    "--allow-missing", "allowed", multiple=True, metavar="HOST", help="Leave this host behind; it has to join anew."
)
@json_option
@pass_settings
def rotate_master(settings: Settings, finish: bool, allowed: tuple[str, ...], as_json: bool) -> None:
    """Replace the master's own keys, without touching any host.

    The first call makes new keys and announces them, signed by the old ones; called again it says which minions have not learned of them yet. --finish puts them in force, and refuses as long as one is missing. From then on hosts join with the new fingerprint, and keys of clients have to be made anew. Interrupted anywhere, it goes on.

    This is no remedy for stolen keys: whoever has the old ones can announce new ones, too.

    \b
    Examples:
      lbmaster keys rotate-master
      lbmaster keys rotate-master --finish
      lbmaster keys rotate-master --finish --allow-missing netology4
    """
    answer = ask(settings, "keys.finish", {"allow_missing": list(allowed)}) if finish else ask(settings, "keys.rotate")
    if as_json:
        show_json(answer)
        return
    from .answers import Standing, read  # noqa: PLC0415 - loaded when needed: --help stays quick

    standing = read(answer, Standing)
    if finish:
        show((Line(f"In force: {standing.fingerprint}", "good"),))
        return
    show((Line(f"Announced: {standing.fingerprint}"), Line(f"known to: {' '.join(standing.learned) or 'nobody yet'}")))
    if standing.missing:
        show((Line(f"not known to: {' '.join(standing.missing)}", "warn"),))
    else:
        show((Line("Every minion knows them: lbmaster keys rotate-master --finish", "good", terminal_only=True),))


@keys.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["subscriber", "operator"]),
    required=True,
    help="What it may: a subscriber only reads; an operator does all but manage keys.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where the key is written. [default: NAME.key]")
@click.option("--address", metavar="HOST[:PORT]", default="", help="Where the master is found, for the file.")
@pass_settings
def client(settings: Settings, name: str, role: str, out: Path | None, address: str) -> None:
    """Make a key with which somebody asks this master over the network.

    The file holds the secret key and the master's public key: copy it in a safe way to whoever it is for, and delete it here. To replace a key make another, then revoke the old one by its fingerprint. The master has to listen for clients: `clients = true` in its configuration.

    \b
    Examples:
      lbmaster keys client alice --role operator --address lb-master.example.org
      lbmaster keys client prometheus --role subscriber --out /etc/prometheus/lbmaster.key
      lbmaster --key alice.key status
    """
    from .client_key import make  # noqa: PLC0415 - needs ZeroMQ

    path = out or Path(f"{name}.key")
    made = make(
        path, lambda public: ask(settings, "keys.client", {"name": name, "role": role, "public": public}), address
    )
    show((Line(f"{path}: the key of {name} ({role}), {made.fingerprint}", "good"),))


def _decide(settings: Settings, verb: str, minions: tuple[str, ...]) -> None:
    for minion in minions:
        field = "fingerprint" if FINGERPRINT.fullmatch(minion) else "name"
        ask(settings, f"keys.{verb}", {field: minion})
        show((Line(f"{minion}: {DONE[verb]}", TONES[DONE[verb]]),))
