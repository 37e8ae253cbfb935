"""What every command shares: where the master's sockets are, asking it, reading the user's file, the way out."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lbmaster import conversation, protocol
from lbmaster.protocol import Json, Where

from . import exits

if TYPE_CHECKING:
    from lbmaster.config import Config

CONFIG_FILE: Final = Path("/etc/lbmaster/master.toml")
FILE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of a cluster file: with JSON's escapes around it, it still fits one line of the control protocol."""


class Failure(Exception):
    """A command ends here: `text` for people, `kind` for --json, `findings` (in the user's `file`) for both."""

    def __init__(
        self, text: str, code: int, kind: str = "failed", findings: tuple[Json, ...] = (), file: str = ""
    ) -> None:
        super().__init__(text)
        self.code = code
        self.kind = kind
        self.findings = findings
        self.file = file


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options as given; None: not given."""

    socket: Path | None = None
    config: Path | None = None
    master: str | None = None
    key: Path | None = None

    @property
    def config_file(self) -> Path:
        return self.config or CONFIG_FILE

    def load(self) -> Config:
        """Read the master's configuration; raises `Failure`."""
        from lbmaster.config import load  # noqa: PLC0415 - most commands need no configuration
        from lbmaster.errors import StartupError  # noqa: PLC0415

        try:
            return load(self.config_file)
        except StartupError as error:
            raise Failure(str(error), exits.USAGE, "bad_config") from error

    @property
    def control(self) -> Where:
        """Over the network with --key or --master, else at the control socket. Raises `Failure` for a bad key."""
        if self.key is None and self.master is None:
            return self.control_socket
        if self.key is None:
            raise Failure(
                "a master on another host is asked with a key: name its file with --key", exits.USAGE, "no_key"
            )
        from lbmaster.network import BadKey, read_key  # noqa: PLC0415 - only needed over the network

        try:
            return read_key(self.key, self.master or "")
        except BadKey as error:
            raise Failure(str(error), exits.USAGE, "bad_key") from error

    @property
    def control_socket(self) -> Path:
        """--socket, else where the file given as --config puts it, else the default."""
        if self.socket is not None:
            return self.socket
        if self.config is not None:
            return self.load().control_socket
        return protocol.CONTROL_SOCKET

    @property
    def events(self) -> Where:
        """Over the network as any request, else at the subscribers' socket."""
        where = self.control
        return where if isinstance(where, protocol.Remote) else self.events_socket

    @property
    def events_socket(self) -> Path:
        """The subscribers' socket lies beside the control socket; more people may open it."""
        return self.control_socket.with_name(protocol.EVENTS_SOCKET.name)


pass_settings = click.make_pass_decorator(Settings, ensure=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")


def ask(
    settings: Settings,
    verb: str,
    arguments: Json | None = None,
    *,
    on_note: Callable[[Json], None] | None = None,
) -> Json:
    """Ask the master; raises `Failure` with the exit code of what went wrong.

    The master gets 30 s more than the `timeout` among the arguments: it is the one who says what timed out.
    """
    given = (arguments or {}).get("timeout")
    patience = 30.0 + (given if isinstance(given, int | float) else 0.0)
    try:
        return conversation.call(verb, arguments, socket=settings.control, patience=patience, on_note=on_note)
    except protocol.ConversationError as error:
        raise failure(error, str((arguments or {}).get("file", ""))) from error


def failure(error: protocol.ConversationError, file: str = "") -> Failure:
    """Turn what went wrong with the master into the end of the command; `file` is what findings are about."""
    match error:
        case protocol.RequestRefused():
            return Failure(str(error), exits.of_refusal(error.kind), error.kind, error.findings, file)
        case protocol.Unreachable():
            return Failure(str(error), exits.NO_MASTER, "unreachable")
        case protocol.BrokenOff():
            return Failure(str(error), exits.NO_MASTER, "broken_off")
        case protocol.Oversized():
            return Failure(str(error), exits.USAGE, "oversized")
        case _:
            return Failure(str(error), exits.FAILED, "not_understood")


def read_file(name: str) -> str:
    """Read a cluster file ("-": standard input); raises `Failure` that says what to do."""
    try:
        raw = sys.stdin.buffer.read(FILE_LIMIT + 1) if name == "-" else _read(Path(name))
    except OSError as error:
        way_out = {
            FileNotFoundError: "check the path",
            PermissionError: "check its rights, or run this as root",
            IsADirectoryError: "name a file in it",
        }.get(type(error), "check the path")
        raise _bad_file(f"cannot read {name}: {error.strerror}; {way_out}") from error
    if len(raw) > FILE_LIMIT:
        raise _bad_file(f"{name} is larger than {FILE_LIMIT} bytes; a cluster file is some kilobytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _bad_file(f"{name}:{line}: this is not UTF-8; save the file as UTF-8") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(FILE_LIMIT + 1)


def _bad_file(text: str) -> Failure:
    return Failure(text, exits.USAGE, "bad_file")


def who() -> str:
    """Name the person at the keyboard, for the journal: also behind sudo."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{os.uname().nodename}"
