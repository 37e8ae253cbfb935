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


@click.command(cls=Verb, epilog=exits.HELP)
@click.argument("words", nargs=-1, required=True, type=click.Path(allow_dash=True), metavar="[placement] FILE")
@click.option("--host", metavar="NAME", help="Show what would be on this host.")
@click.option(
    "--interface",
    metavar="NAME",
    help="The host's interface, where the file names none: only the host itself knows it.  [default: eth0]",
)
@click.option("--keepalived", metavar="VERSION", help="The host's keepalived.  [default: 2.2.7]")
@click.option(
    "--before",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="The file in force: what it placed stays if it can.",
)
@json_option
def show(
    words: tuple[str, ...],
    host: str | None,
    interface: str | None,
    keepalived: str | None,
    before: str | None,
    as_json: bool,
) -> int:
    """Show what a cluster file means; needs no master, and changes nothing.

    With --host: what would be on that host, keepalived.conf, the table as `ipvsadm -Sn` would print it (and, other than
    there, with thresholds), addresses, sysctls, modules, marks. With `placement`: which director is the home of which
    VIP, who takes what when whom dies, and how even that is. FILE may be - for standard input.

    A push keeps homes, VRIDs and firewall marks where the file still allows it. To see what it would make of a changed
    file, name the one in force with --before; `placement` then lists what moves, too.

    \b
    Examples:
      lbmaster show cluster.yaml --host netology3
      lbmaster show cluster.yaml --host netology3 --json | jq -r .keepalived_conf
      lbmaster show placement cluster.yaml
      lbmaster show placement new.yaml --before cluster.yaml
      lbmaster show placement --json cluster.yaml | jq '.instances.web.order'
    """
    if before == "-" and words[-1] == "-":
        raise click.UsageError("only one of the files can be standard input")
    match words:
        case ("placement", file) if host is None:
            return _placement(file, before, as_json=as_json)
        case (file,) if host is not None:
            said = {"interface": interface, "keepalived": keepalived}
            taken = {what: value for what, value in said.items() if value is not None}
            return _host(file, host, taken, before, as_json=as_json)
        case _:
            raise click.UsageError("say what to show: lbmaster show FILE --host NAME, or lbmaster show placement FILE")


def _host(file: str, host: str, taken: dict[str, str], before: str | None, *, as_json: bool) -> int:
    cluster, earlier = _cluster(file), None if before is None else _cluster(before)
    from lbmaster.offline import Assumptions, Unshown, host_view  # noqa: PLC0415 - loaded when needed: --help stays quick

    from .render_host import host_document, host_page  # noqa: PLC0415

    try:
        view = host_view(cluster, host, Assumptions(**taken), earlier)
    except Unshown as error:
        raise Failure(f"{file}: {error}", exits.USAGE, "bad_file") from error
    if as_json:
        screen.show_json(host_document(view))
    else:
        screen.show(host_page(view))
    return exits.OK


def _placement(file: str, before: str | None, *, as_json: bool) -> int:
    cluster, earlier = _cluster(file), None if before is None else _cluster(before)
    from lbmaster.offline import director_state  # noqa: PLC0415 - loaded when needed: --help stays quick

    from .render_placement import placement_document, placement_of, placement_page  # noqa: PLC0415

    placement = placement_of(director_state(cluster, earlier))
    past = None if earlier is None else placement_of(director_state(earlier))
    if as_json:
        screen.show_json(placement_document(placement, past))
    else:
        screen.show(placement_page(placement, past))
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
