"""`lbmaster init` and `lbmaster serve`: the master itself."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

from pathlib import Path

import click

from . import exits
from .context import Failure, Settings, pass_settings
from .page import Line
from .screen import show
from .verb import Verb


@click.command(cls=Verb, epilog=exits.HELP)
@click.option("--listen", metavar="ADDRESS", default="*", show_default=True, help="Where minions reach this master.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Keys and journal. [default: /var/lib/lbmaster]")
@click.option("--runtime-dir", type=click.Path(path_type=Path), help="Sockets. [default: /run/lbmaster]")
@pass_settings
def init(settings: Settings, listen: str, state_dir: Path | None, runtime_dir: Path | None) -> None:
    """Make the master's keys, configuration and directories.

    Nothing that exists is overwritten, so it may be run again. Prints the fingerprint that minions join with. Ports: 7411 (broadcast), 7412 (uplink), 7413 (join), all TCP.

    \b
    Examples:
      lbmaster init
      lbmaster init --listen 172.28.128.50
      lbmaster --config ./master.toml init --state-dir ./state --runtime-dir ./run
    """
    from lbmaster.config import init as make  # noqa: PLC0415 - loaded when needed: --help stays quick
    from lbmaster.errors import StartupError  # noqa: PLC0415

    kept = " (kept as it was)" if settings.config_file.exists() else ""
    try:
        fingerprint = make(settings.config_file, listen=listen, state_dir=state_dir, runtime_dir=runtime_dir)
    except StartupError as error:
        raise Failure(str(error), exits.FAILED, "startup") from error
    show(
        (
            Line(f"Configuration: {settings.config_file}{kept}"),
            Line(f"Fingerprint: {fingerprint}"),
            Line("Next: systemctl start lbmaster, and on every host:", terminal_only=True),
            Line(f"lbminion join --master ADDRESS --fingerprint {fingerprint}", indent=2, terminal_only=True),
        )
    )


@click.command(cls=Verb, epilog=exits.HELP)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@pass_settings
def serve(settings: Settings, log_level: str) -> None:
    """Run the master in the foreground; systemd does this.

    \b
    Examples:
      systemctl enable --now lbmaster
      lbmaster --config ./master.toml serve --log-level debug
    """
    config = settings.load()

    import asyncio  # noqa: PLC0415 - loaded when needed: --help stays quick

    from lbmaster.errors import StartupError  # noqa: PLC0415
    from lbmaster.service import serve as run  # noqa: PLC0415
    from lbservice import log  # noqa: PLC0415

    log.configure(log_level)
    try:
        asyncio.run(run(config))
    except StartupError as error:
        raise Failure(str(error), exits.FAILED, "startup") from error
