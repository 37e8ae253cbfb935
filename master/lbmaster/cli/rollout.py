"""`lbmaster rollout`, `history`, `diff` and `rollback`: what is on its way, what there was, and going back to it."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from lbmaster.protocol import Json

from . import exits
from .context import Settings, ask, json_option, pass_settings, who
from .page import Line
from .push import roll_out
from .rollout_options import rollout_options, told
from .screen import show, show_json
from .verb import Family, Verb

CLUSTER = click.argument("cluster", required=False)
CLUSTER_OPTION = click.option("--cluster", help="Which cluster; needed if there are several.")
REASON = click.option("--reason", default="", help="Why, for the journal.")


@click.group(cls=Family)
def rollout() -> None:
    """Look at a push that is on its way, and decide what becomes of it."""


@rollout.command("status", epilog=exits.HELP)
@CLUSTER
@json_option
@pass_settings
def rollout_status(settings: Settings, cluster: str | None, as_json: bool) -> None:
    """Show the waves of what is on its way, how far each host is, and what is waited for.

    \b
    Examples:
      lbmaster rollout status
      lbmaster rollout status netology --json | jq .clusters.netology.phase
    """
    answer = ask(settings, "rollout.status", {"cluster": cluster})
    if as_json:
        show_json(answer)
        return
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import Rollouts  # noqa: PLC0415
    from .render_rollout import rollouts_page  # noqa: PLC0415

    show(rollouts_page(read(answer, Rollouts)))


@rollout.command("pause", epilog=exits.HELP)
@CLUSTER
@REASON
@json_option
@pass_settings
def rollout_pause(settings: Settings, cluster: str | None, reason: str, as_json: bool) -> None:
    """Have it wait behind the present wave.

    \b
    Example:
      lbmaster rollout pause netology
    """
    _act(settings, "pause", {"cluster": cluster, "reason": reason}, "waits behind the present wave", as_json=as_json)


@rollout.command("resume", epilog=exits.HELP)
@CLUSTER
@REASON
@json_option
@pass_settings
def rollout_resume(settings: Settings, cluster: str | None, reason: str, as_json: bool) -> None:
    """Let it go on after a pause.

    \b
    Example:
      lbmaster rollout resume netology
    """
    _act(settings, "resume", {"cluster": cluster, "reason": reason}, "goes on", as_json=as_json)


@rollout.command("abort", epilog=exits.HELP)
@CLUSTER
@click.option("--keep", is_flag=True, help="Take nothing back: every host stays as it is now.")
@REASON
@json_option
@pass_settings
def rollout_abort(settings: Settings, cluster: str | None, keep: bool, reason: str, as_json: bool) -> None:
    """End it now, and go back to what was in force before.

    At once: connections to real servers that only this rollout has brought are cut.

    \b
    Examples:
      lbmaster rollout abort
      lbmaster rollout abort netology --keep
    """
    arguments: Json = {"cluster": cluster, "reason": reason, "keep": keep}
    what = "is aborted; every host stays as it is" if keep else "is aborted, and taken back"
    _act(settings, "abort", arguments, what, as_json=as_json)


_STAYS: Final = {
    "not_released": "is aborted; it was released to no host",
    "first": "is aborted; there is nothing to go back to, and every host stays as it is",
    "no_rollback": "is aborted; --no-rollback asked for every host to stay as it is",
}


def _act(settings: Settings, verb: str, arguments: Json, what: str, *, as_json: bool) -> None:
    answer = ask(settings, f"rollout.{verb}", {**arguments, "by": who()})
    if as_json:
        show_json(answer)
        return
    said = _STAYS.get(str(answer.get("stays", "")), what)
    show((Line(f"Generation {answer.get('generation')} of {answer.get('cluster')} {said}."), *_reminder(answer)))


def _reminder(answer: Json) -> Iterator[Line]:
    """Say what the next decision would do to hosts that stay as they are: nobody who drains expects the file to change."""
    if answer.get("stays") in ("kept", "no_rollback") and answer.get("file_of"):
        yield Line(
            f"The file in force is that of generation {answer['file_of']}: the next drain, switchover or the like rolls it "
            "out on every host, and takes this one back by that. Push again before, if it is to stay.",
            "warn",
        )


@click.command(cls=Verb, epilog=exits.HELP)
@CLUSTER
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@json_option
@pass_settings
def history(settings: Settings, cluster: str | None, limit: int, as_json: bool) -> None:
    """List the generations of a cluster: what was asked, by whom, why, and what came of it. The newest comes first.

    \b
    Examples:
      lbmaster history netology
      lbmaster history netology --json | jq '.generations[] | select(.status == "rolled_back")'
    """
    answer = ask(settings, "history", {"cluster": cluster, "limit": limit})
    if as_json:
        show_json(answer)
        return
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import History  # noqa: PLC0415
    from .render_rollout import history_page  # noqa: PLC0415

    show(history_page(read(answer, History)))


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("older", type=click.IntRange(1))
@click.argument("newer", type=click.IntRange(1))
@CLUSTER_OPTION
@json_option
@pass_settings
def diff(settings: Settings, older: int, newer: int, cluster: str | None, as_json: bool) -> None:
    """Show what is different between two generations: in the file, in drains and the like, in the desired states.

    \b
    Examples:
      lbmaster diff 6 7
      lbmaster diff 6 7 --cluster netology
    """
    answer = ask(settings, "diff", {"older": older, "newer": newer, "cluster": cluster})
    if as_json:
        show_json(answer)
        return
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import Difference  # noqa: PLC0415
    from .render_rollout import difference_page  # noqa: PLC0415

    show(difference_page(read(answer, Difference)))


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("generation", type=click.IntRange(1))
@CLUSTER_OPTION
@rollout_options
@json_option
@pass_settings
def rollback(settings: Settings, /, generation: int, cluster: str | None, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Put the file of an earlier generation in force again, as a new generation.

    It goes as a push of that file would go; drains and the like stay as they are now. `lbmaster history` tells the
    numbers, `lbmaster diff` what would change. Exit code 0 only if all hosts have converged.

    \b
    Examples:
      lbmaster rollback 6 --reason "7 was slow"
      lbmaster rollback 6 --cluster netology
    """
    arguments: Json = {"generation": generation, "cluster": cluster, "by": who(), **told(options)}
    return roll_out(settings, "rollback", arguments, f"generation {generation}", as_json=as_json)
