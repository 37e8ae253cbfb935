"""`lbmaster show`: what a cluster file makes of its hosts, without a master."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from . import exits, screen
from .context import Failure, json_option, read_file
from .verb import Verb

if TYPE_CHECKING:
    from lbstates.clusterfile.model import Cluster
    from lbstates.desired import DirectorState


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("words", nargs=-1, required=True, type=click.Path(allow_dash=True), metavar="[placement] FILE")
@json_option
def show(words: tuple[str, ...], as_json: bool) -> int:
    """Show what a cluster file means; needs no master, and changes nothing.

    With `placement`: which director is the home of which VIP, who takes what when whom dies, and how even that is.
    FILE may be - for standard input.

    \b
    Examples:
      lbmaster show placement cluster.yaml
      lbmaster show placement --json cluster.yaml | jq '.instances.web.order'
    """
    match words:
        case ("placement", file):
            return _placement(file, as_json=as_json)
        case _:
            raise click.UsageError("say what to show: lbmaster show placement FILE")


def _placement(file: str, *, as_json: bool) -> int:
    cluster = _cluster(file)
    from .render_placement import placement_document, placement_of, placement_page  # noqa: PLC0415

    placement = placement_of(_directors(cluster))
    if as_json:
        screen.show_json(placement_document(placement))
    else:
        screen.show(placement_page(placement))
    return exits.OK


def _cluster(file: str) -> Cluster:
    """Read a cluster file; raises `Failure` with the findings of one that is wrong."""
    text = read_file(file)
    from lbstates.clusterfile import check  # noqa: PLC0415 - pydantic takes its time

    checked = check(text)
    if checked.cluster is None or any(finding.severity == "error" for finding in checked.findings):
        findings = tuple(asdict(finding) for finding in checked.findings)
        raise Failure(f"{file} cannot be used", exits.USAGE, "bad_file", findings, file)
    return checked.cluster


def _directors(cluster: Cluster) -> DirectorState:
    from lbstates.compile import compile_cluster  # noqa: PLC0415
    from lbstates.desired import DirectorState  # noqa: PLC0415

    state = compile_cluster(cluster)["director"]
    if not isinstance(state, DirectorState):
        raise TypeError("the role director has a state of another role")
    return state
