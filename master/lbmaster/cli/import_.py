"""`lbmaster import`: the configuration of keepalived, ipvsadm or ldirectord becomes a cluster file, without a master."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from . import exits
from .context import Failure, json_option
from .page import Line, Tone
from .screen import plain, show, show_json
from .text import count
from .verb import Verb

if TYPE_CHECKING:
    from lbstates.clusterfile import Finding
    from lbstates.importing import Imported, Order, Remark

_TONES: Final[dict[str, Tone]] = {"info": "dim", "warning": "warn", "error": "bad"}
_FATES: Final = ("taken", "guessed", "dropped", "unknown", "contradicted", "wrong")


@click.command("import", cls=Verb, epilog=exits.HELP)
@click.option("--director", multiple=True, metavar="NAME=FILE", help="A director and its keepalived.conf.")
@click.option("--ipvsadm", multiple=True, metavar="NAME=FILE", help="A director and what `ipvsadm -Sn` printed there.")
@click.option("--ldirectord", multiple=True, metavar="FILE", help="An ldirectord.cf.")
@click.option("--address", multiple=True, metavar="NAME=IP[/LEN]", help="A director's address, where no file says it.")
@click.option("--name", multiple=True, metavar="IP=NAME", help="The name of the real server with this address.")
@click.option("--config-id", multiple=True, metavar="NAME=ID", help="A director's config-id. [default: its name]")
@click.option("--cluster", default="imported", show_default=True, help="The cluster's name.")
@click.option("--output", "-o", type=click.Path(), help="Write the cluster file here. [default: standard output]")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--all", "everything", is_flag=True, help="Report also what was simply taken.")
@json_option
def import_(
    director: tuple[str, ...],
    ipvsadm: tuple[str, ...],
    ldirectord: tuple[str, ...],
    address: tuple[str, ...],
    name: tuple[str, ...],
    config_id: tuple[str, ...],
    cluster: str,
    output: str | None,
    force: bool,
    everything: bool,
    as_json: bool,
) -> int:
    """Make a cluster file of what runs today; needs no master.

    Give every director's keepalived.conf (what it includes is found), or what `ipvsadm -Sn` printed there, or an
    ldirectord.cf, or several of them. Real servers are named after their address unless --name says better.

    What was guessed or left out stands in the file as comments, and in the report with file, line and keyword. The
    report goes to standard error when the cluster file goes to standard output. Errors are what you have to change
    before the cluster file means the same; they give exit code 2, and the file is written all the same.

    \b
    Examples:
      lbmaster import --director lb1=lb1.conf --director lb2=lb2.conf -o cluster.yaml
      ssh lb1 ipvsadm -Sn | lbmaster import --ipvsadm lb1=- --address lb1=10.0.0.2 -o cluster.yaml
      lbmaster import --ldirectord ldirectord.cf --address lb1=10.0.0.2 --name 10.0.0.10=web1
    """
    if not director and not ipvsadm and not ldirectord:
        raise Failure(
            "there is nothing to import; give --director, --ipvsadm or --ldirectord", exits.USAGE, "bad_usage"
        )
    if output is not None and not force and os.path.lexists(output):
        raise Failure(f"{output} exists; write to another file, or give --force", exits.USAGE, "bad_file")
    from lbstates.clusterfile import check  # noqa: PLC0415 - pydantic takes its time
    from lbstates.importing import CannotImport, import_cluster  # noqa: PLC0415

    from .import_files import Disk  # noqa: PLC0415

    order = _order(director, ipvsadm, ldirectord, address, name, config_id, cluster)
    try:
        imported = import_cluster(order, Disk())
    except CannotImport as error:
        raise Failure(str(error), exits.USAGE, "bad_file") from error
    findings = check(imported.text).findings
    _write(imported.text, output, as_json=as_json)
    _report(imported, findings, output, everything=everything, as_json=as_json)
    return exits.USAGE if _bad(imported.remarks, findings) else exits.OK


def _order(
    director: tuple[str, ...],
    ipvsadm: tuple[str, ...],
    ldirectord: tuple[str, ...],
    address: tuple[str, ...],
    name: tuple[str, ...],
    config_id: tuple[str, ...],
    cluster: str,
) -> Order:
    from lbstates.importing import Order  # noqa: PLC0415 - only this command needs it
    from lbstates.importing.importer import Given  # noqa: PLC0415

    keepalived = [Given(who, file, _text(file)) for who, file in _pairs("--director", director)]
    tables = [Given(who, file, _text(file)) for who, file in _pairs("--ipvsadm", ipvsadm)]
    if len({given.director for given in keepalived}) < len(keepalived):
        raise Failure("--director names a director twice; each has one keepalived.conf", exits.USAGE, "bad_usage")
    addresses: dict[str, list[str]] = {}
    for who, written in _pairs("--address", address):
        addresses.setdefault(who, []).append(_address("--address", written))
    names: dict[str, str] = {}
    for bare, called in (_split("--name", given) for given in name):
        names[_address("--name", bare).partition("/")[0]] = _name("--name", called)
    return Order(
        keepalived=keepalived,
        ipvsadm=tables,
        ldirectord=[Given(None, file, _text(file)) for file in ldirectord],
        cluster=_name("--cluster", cluster),
        addresses=addresses,
        names=names,
        config_ids=dict(_pairs("--config-id", config_id)),
    )


def _pairs(option: str, given: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(_name(option, who), what) for who, what in (_split(option, text) for text in given)]


def _split(option: str, text: str) -> tuple[str, str]:
    before, equals, after = text.partition("=")
    if not (before and equals and after):
        raise Failure(f"{option} {text!r}: write it with an equals sign, like lb1=VALUE", exits.USAGE, "bad_usage")
    return before, after


def _name(option: str, text: str) -> str:
    from lbstates import words  # noqa: PLC0415 - only this command needs it

    if re.fullmatch(words.NAME, text):
        return text
    way_out = "use lower-case letters, digits, dots and hyphens"
    raise Failure(f"{option}: {text!r} is not a name; {way_out}", exits.USAGE, "bad_usage")


def _address(option: str, text: str) -> str:
    try:
        ipaddress.ip_interface(text)
    except ValueError as error:
        raise Failure(f"{option}: {text!r} is not an address", exits.USAGE, "bad_usage") from error
    bare, slash, length = text.partition("/")
    return f"{ipaddress.ip_address(bare)}{slash}{length}"


def _text(file: str) -> str:
    from lbstates.importing.remarks import Unreadable  # noqa: PLC0415 - only this command needs it

    from .import_files import read_text  # noqa: PLC0415

    try:
        return read_text(file)
    except Unreadable as error:
        raise Failure(f"cannot read {file}: {error.reason}; check the path", exits.USAGE, "bad_file") from error


def _write(text: str, output: str | None, *, as_json: bool) -> None:
    if output is None:
        if not as_json:
            sys.stdout.write(text)
            sys.stdout.flush()
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}", exits.FAILED, "bad_file") from error


def _report(
    imported: Imported, findings: tuple[Finding, ...], output: str | None, *, everything: bool, as_json: bool
) -> None:
    remarks = imported.remarks
    if as_json:
        said = [
            {
                "file": remark.place.file,
                "line": remark.place.line,
                "keyword": remark.keyword,
                "fate": remark.fate,
                "severity": remark.severity,
                "said": remark.said,
                "way_out": remark.way_out,
            }
            for remark in remarks
        ]
        text = None if output else imported.text
        show_json({"output": output, "text": text, "remarks": said, "findings": [asdict(one) for one in findings]})
        return
    lines = [Line(one.describe(), _TONES[one.severity]) for one in remarks if everything or one.severity != "info"]
    shown = [one for one in findings if everything or one.severity != "info"]
    lines += [Line(one.describe(output or "-"), _TONES[one.severity]) for one in shown]
    lines.append(Line(_summary(remarks, findings, output), "bad" if _bad(remarks, findings) else "good"))
    if output is not None:
        show(tuple(lines))
        return
    for line in plain(tuple(lines)):
        sys.stderr.write(line + "\n")


def _bad(remarks: tuple[Remark, ...], findings: tuple[Finding, ...]) -> bool:
    return "error" in {one.severity for one in remarks} | {one.severity for one in findings}


def _summary(remarks: tuple[Remark, ...], findings: tuple[Finding, ...], output: str | None) -> str:
    fates = Counter(remark.fate for remark in remarks)
    said = ", ".join(f"{fates[fate]} {fate}" for fate in _FATES if fates[fate])
    errors = sum(one.severity == "error" for one in findings)
    verdict = f"; check finds {count(errors, 'error')} in it" if errors else ""
    where = f"{output} was written" if output else "The cluster file is above"
    return f"{where}: {said or 'nothing to say'}{verdict}."
