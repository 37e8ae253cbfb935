"""`lbmaster check` and `lbmaster schema`: the cluster file, without a master."""

# ruff: noqa: D301 - click wants the backspace character itself
from __future__ import annotations

from dataclasses import asdict

import click

from . import exits
from .context import json_option, read_file
from .page import Line
from .screen import show, show_json
from .text import count
from .verb import Verb

FILE = click.argument("file", type=click.Path(allow_dash=True))


@click.command(cls=Verb, epilog=exits.HELP)
@FILE
@click.option("--strict", is_flag=True, help="Take warnings for errors: for CI, where nobody reads them.")
@json_option
def check(file: str, strict: bool, as_json: bool) -> int:
    """Find what is wrong in a cluster file; needs no master.

    Everything is found at once. Every finding names file, line and field, what is wrong and what would be right. Errors give exit code 2; warnings
    alone give 0, with --strict 2 as well. FILE may be - for standard input.

    \b
    A whole cluster file:
      cluster: netology
      directors:
        netology3: 172.28.128.30
        netology4: 172.28.128.40
      real_servers:
        netology1: 172.28.128.10
        netology2: 172.28.128.20
      vips:
        web: 172.28.128.200/24
      services:
        - vip: web
          port: 80
          protocol: tcp
          scheduler: rr
          forwarding: direct
          real_servers: {netology1: 1, netology2: 1}

    \b
    Examples:
      lbmaster check cluster.yaml
      lbmaster check --strict clusters/web.yaml
      lbmaster check --json cluster.yaml | jq '.findings[].line'
    """
    text = read_file(file)
    from lbstates.clusterfile import check as find  # noqa: PLC0415 - pydantic takes its time

    from .answers import Finding  # noqa: PLC0415
    from .render_plan import finding_lines  # noqa: PLC0415

    checked = find(text)
    errors = sum(finding.severity == "error" for finding in checked.findings)
    warnings = sum(finding.severity == "warning" for finding in checked.findings)
    refused = errors or (strict and warnings)
    code = exits.USAGE if refused else exits.OK
    if as_json:
        name = checked.cluster.cluster if checked.cluster else None
        show_json({"file": file, "cluster": name, "findings": [asdict(finding) for finding in checked.findings]})
        return code
    findings = tuple(Finding(**asdict(finding)) for finding in checked.findings)
    verdict = count(errors, "error") if errors else "not right by --strict" if refused else "right"
    also = f", {count(warnings, 'warning')}" if warnings else ""
    show((*finding_lines(findings, file), Line(f"{file}: {verdict}{also}", "bad" if refused else "good")))
    return code


@click.command(cls=Verb)
def schema() -> None:
    """Print the JSON Schema of the cluster file, for editors.

    \b
    Examples:
      lbmaster schema > lbmaster.schema.json
      # then, as the first line of cluster.yaml:
      # yaml-language-server: $schema=lbmaster.schema.json
    """
    from lbstates.clusterfile import schema as made  # noqa: PLC0415 - pydantic takes its time

    show_json(made())
