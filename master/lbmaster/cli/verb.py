"""How a command ends when it does not simply return: exit code, and who is told what."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from lbmaster.protocol import ConversationError

from . import exits, screen
from .context import Failure, failure


class Verb(click.Command):
    """A command that turns failures, Ctrl-C and a closed pipe into exit codes (`exits`)."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run it."""
        as_json = bool(ctx.params.get("as_json"))
        try:
            code = self._run(ctx, as_json=as_json)
        except BrokenPipeError:
            # What is still buffered would fail again when Python flushes it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = exits.PIPE_CLOSED
        ctx.exit(code)

    def _run(self, ctx: click.Context, *, as_json: bool) -> int:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except ConversationError as error:
            return report(failure(error), as_json=as_json)
        except Failure as error:
            return report(error, as_json=as_json)
        except KeyboardInterrupt:
            sys.stderr.write("\nInterrupted.\n")
            return exits.INTERRUPTED
        return code if isinstance(code, int) else exits.OK


class Family(click.Group):
    """A group whose commands are `Verb`s."""

    command_class = Verb


Family.group_class = Family


def report(error: Failure, *, as_json: bool) -> int:
    """Say how a command failed: for people on standard error, for programs on standard output too."""
    if error.findings:
        import msgspec  # noqa: PLC0415 - only wrong files need it

        from .answers import Finding  # noqa: PLC0415
        from .render_plan import finding_lines  # noqa: PLC0415

        try:
            findings = msgspec.convert(error.findings, tuple[Finding, ...])
        except msgspec.ValidationError:
            findings = ()
        for line in screen.plain(tuple(finding_lines(findings, error.file))):
            sys.stderr.write(line + "\n")
    screen.complain(str(error))
    if as_json:
        screen.show_json({"error": {"kind": error.kind, "text": str(error), "findings": list(error.findings)}})
    return error.code
