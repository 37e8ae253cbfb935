"""`lbmaster`: the group of all commands, and its global options."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from . import exits
from .check import check, schema
from .context import Settings
from .daemon import init, serve
from .doctor import doctor
from .drain import drain, undrain
from .events import events
from .import_ import import_
from .keys import keys
from .maintenance import maintenance
from .plan import plan
from .push import push
from .rollout import diff, history, rollback, rollout
from .show import show
from .stats import stats
from .status import reconcile, status
from .switchover import evacuate, switchover
from .verb import Family, Verb


@click.group(cls=Family, epilog=exits.HELP)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    envvar="LBMASTER_SOCKET",
    show_envvar=True,
    help="The master's control socket. [default: /run/lbmaster/control.sock]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="LBMASTER_CONFIG",
    show_envvar=True,
    help="The master's configuration; says where its socket is, too. [default: /etc/lbmaster/master.toml]",
)
@click.option(
    "--master",
    metavar="HOST[:PORT]",
    envvar="LBMASTER_MASTER",
    show_envvar=True,
    help="A master on another host; needs --key. [default: the address in the key file]",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    envvar="LBMASTER_KEY",
    show_envvar=True,
    help="Ask over the network, with this key of `lbmaster keys client`.",
)
@click.version_option(package_name="lbmaster", prog_name="lbmaster")
@click.pass_context
def main(ctx: click.Context, socket: Path | None, config: Path | None, master: str | None, key: Path | None) -> None:
    """One file for a cluster of Linux load balancers: push it, and every host makes itself so.

    Commands ask the running master by its socket, so most of them need root. Tables are for terminals: in a pipe
    output is plain, columns are separated by one tab, and --json gives JSON.

    \b
    First steps:
      lbmaster init                    # once: keys and configuration
      systemctl start lbmaster
      lbmaster keys accept netology1   # after `lbminion join` there
      lbmaster check cluster.yaml
      lbmaster plan cluster.yaml
      lbmaster push cluster.yaml
      lbmaster status
      lbmaster events --follow
    """
    ctx.obj = Settings(socket, config, master, key)


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands.

    \b
    Examples:
      eval "$(lbmaster completion bash)"                                     # in ~/.bashrc
      lbmaster completion fish > ~/.config/fish/completions/lbmaster.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter(f"no completion for {shell}")
    click.echo(found(main, {}, "lbmaster", "_LBMASTER_COMPLETE").source())


for command in (
    init,
    serve,
    keys,
    check,
    schema,
    import_,
    show,
    plan,
    push,
    rollout,
    history,
    diff,
    rollback,
    status,
    stats,
    events,
    doctor,
    drain,
    undrain,
    switchover,
    evacuate,
    maintenance,
    reconcile,
    completion,
):
    main.add_command(command)
