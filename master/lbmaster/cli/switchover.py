"""`lbmaster switchover` and `lbmaster evacuate`: who holds a VIP."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import exits
from .context import Settings, pass_settings
from .deciding import decide, deciding_options, failed, given
from .page import Line
from .screen import show, show_json
from .text import seconds
from .verb import Verb

if TYPE_CHECKING:
    from .answers_rollout import Change


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("vip")
@click.option(
    "--to", default=None, metavar="DIRECTOR", help="Who shall hold it. [default: the next in rank that is fit]"
)
@click.option("--back", is_flag=True, help="End it: the priorities of the cluster file count again.")
@deciding_options
@pass_settings
def switchover(settings: Settings, /, vip: str, to: str | None, back: bool, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Let another director hold a VIP, and all that has one master with it.

    By the priority of that director, without a reload; with connection synchronisation (sync in the cluster file) open
    connections go on. Refused when the director is not fit, with every reason: its minion is there, it has the released
    generation and no drift, it hears the holder's advertisements, and its checks fail nowhere where the holder's do not.
    Waits until the VIP has moved; if it does not move, that is taken back. It stays so until --back; when that director
    fails the others take over as ever.

    \b
    Examples:
      lbmaster switchover web
      lbmaster switchover 172.28.128.200 --to netology4 --reason "new cable on netology3"
      lbmaster switchover web --back
    """
    if to is not None and back:
        raise click.UsageError("--to names a director, --back ends what was decided: give one of them")
    arguments = given(options, vip=vip, to=to, back=back)
    answer = decide(settings, "switchover", arguments, "the switchover goes on", as_json=as_json)
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import Change  # noqa: PLC0415

    change = read(answer, Change)
    if "taken_back" in answer:
        if as_json:
            show_json(answer)
        else:
            show((_stuck(vip, change),))
        return exits.FAILED
    if failed(answer, as_json=as_json):
        return exits.FAILED
    if as_json:
        show_json(answer)
    else:
        show((_moved(vip, change),))
    return exits.OK


def _moved(vip: str, it: Change) -> Line:
    if it.source == it.target:
        return Line(f"{vip} stays on {it.target or 'nobody'}: generation {it.generation}.", "good")
    return Line(f"{vip} moved from {it.source or 'nobody'} to {it.target or 'nobody'} in {seconds(it.took)}.", "good")


def _stuck(vip: str, it: Change) -> Line:
    held = it.holds if isinstance(it.holds, str) else ", ".join(it.holds)
    if it.taken_back:
        back = "that was taken back"
    elif it.overtaken:
        back = "somebody has decided otherwise meanwhile, and that stays: see lbmaster status"
    else:
        back = (
            f"that could not be taken back: if lbmaster status still shows it, lbmaster switchover {vip} --back does it"
        )
    return Line(f"{vip} has not moved to {it.target}: it is held by {held or it.source or 'nobody'}; {back}.", "bad")


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("director")
@click.option("--end", is_flag=True, help="It may hold VIPs again.")
@deciding_options
@pass_settings
def evacuate(settings: Settings, /, director: str, end: bool, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Let a director hold no VIP, as long as another one can.

    By its priority, without a reload. Refused when nobody is fit to take something over that it holds. Waits until it holds
    nothing; exit code 1 if it still does. It stays so, over restarts and pushes, until --end.

    \b
    Examples:
      lbmaster evacuate netology3 --reason "new kernel"
      lbmaster evacuate netology3 --end
    """
    what = f"the evacuation of {director} goes on"
    answer = decide(settings, "evacuate", given(options, director=director, end=end), what, as_json=as_json)
    if failed(answer, as_json=as_json):
        return exits.FAILED
    from .answers import read  # noqa: PLC0415 - loaded when needed: --help stays quick
    from .answers_rollout import Change  # noqa: PLC0415

    change = read(answer, Change)
    if as_json:
        show_json(answer)
    else:
        show((_evacuated(director, change, end=end),))
    return exits.OK if change.moved else exits.FAILED


def _evacuated(director: str, it: Change, *, end: bool) -> Line:
    if end:
        return Line(f"{director} may hold VIPs again: generation {it.generation}.", "good")
    if it.moved:
        return Line(f"{director} holds nothing any more, after {seconds(it.took)}.", "good")
    held = it.holds if isinstance(it.holds, str) else ", ".join(it.holds)
    return Line(f"{director} still holds {held} after {seconds(it.took)}; see lbmaster status.", "bad")
