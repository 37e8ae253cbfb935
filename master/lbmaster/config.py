"""The master's configuration: one TOML file, and `init`, which makes it together with the keys.

Every setting has a default, but a missing file is an error: a master that starts with fresh keys because somebody
mistyped a path would be a stranger to all its minions.
"""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from lbservice.files import private_directory, write_atomically
from lbservice.keys import fingerprint, load_or_make_curve

from . import identity
from .errors import StartupError

STATE_DIR: Final = Path("/var/lib/lbmaster")
RUNTIME_DIR: Final = Path("/run/lbmaster")

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]


class Reaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When an event of type `on` (a glob) with the data `where` arrives, do `do` in the event's cluster."""

    on: str
    do: Literal["reconcile"]
    where: dict[str, str | int | bool] = {}


DEFAULT_REACTIONS: Final = (
    Reaction(on="vrrp.transition", do="reconcile", where={"state": "MASTER"}),
    Reaction(on="vrrp.split_brain", do="reconcile"),
)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`listen` is an address or "*" (all); port 0 is any free one (for tests). Times are in seconds.

    `clients`: people and programs may ask over the network, at `client_port`.

    `return_grace`: how long minions have after a start of the master to come back, since their reconnection backs off,
    before they are called absent or lost. `generations_kept`: of every cluster, for `history`, `diff` and `rollback`.
    `journal_days` and `journal_events`: how long, and how many, events are kept.
    """

    listen: str = "*"
    broadcast_port: Port = 7411
    uplink_port: Port = 7412
    join_port: Port = 7413
    client_port: Port = 7414
    clients: bool = False
    state_dir: Path = STATE_DIR
    runtime_dir: Path = RUNTIME_DIR
    events_group: str = ""
    lease: Seconds = 5.0
    beacon: Seconds = 1.0
    split_brain_grace: Seconds = 1.5
    reconcile_deadline: Seconds = 2.0
    return_grace: Seconds = 12.0
    generations_kept: Annotated[int, Meta(ge=5, le=100_000)] = 50
    journal_days: Annotated[float, Meta(gt=0, le=36500)] = 90.0
    journal_events: Annotated[int, Meta(ge=1000, le=10**9)] = 1_000_000
    reaction: tuple[Reaction, ...] = DEFAULT_REACTIONS

    def __post_init__(self) -> None:
        if self.listen != "*":
            try:
                ipaddress.ip_address(self.listen)
            except ValueError:
                raise ValueError(f'listen: {self.listen!r} is neither an IP address nor "*"') from None

    @property
    def control_socket(self) -> Path:
        return self.runtime_dir / "control.sock"

    @property
    def events_socket(self) -> Path:
        return self.runtime_dir / "events.sock"

    @property
    def database(self) -> Path:
        return self.state_dir / "store.sqlite"

    def endpoint(self, port: int) -> str:
        """Name a port for ZeroMQ's bind."""
        host = f"[{self.listen}]" if ":" in self.listen else self.listen
        return f"tcp://{host}:{port or '*'}"


def load(path: Path) -> Config:
    """Read the configuration; raises `StartupError` that names the file, the field and the way out."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Config, strict=True, dec_hook=_decode_path)
    except FileNotFoundError:
        raise StartupError(f"there is no {path}: run `lbmaster init` once, or name the file with --config") from None
    except OSError as error:
        raise StartupError(f"cannot read {path}: {error.strerror}; check its owner and rights") from error
    except UnicodeDecodeError as error:
        raise StartupError(f"{path} is not UTF-8; save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise StartupError(f"{path}: {error}; docs/configuration.md lists the settings") from error


def init(path: Path, *, listen: str = "*", state_dir: Path | None = None, runtime_dir: Path | None = None) -> str:
    """Make directories, keys and the file at `path`, and return the fingerprint that minions join with.

    What exists is kept: running it again changes nothing. Raises `StartupError`.
    """
    try:
        if path.exists():
            config = load(path)
        else:
            config = Config(
                listen=listen,
                state_dir=(state_dir or STATE_DIR).absolute(),
                runtime_dir=(runtime_dir or RUNTIME_DIR).absolute(),
            )
            private_directory(path.absolute().parent, 0o755)
        private_directory(config.state_dir)
        private_directory(identity.keys_dir(config.state_dir))
        pair = load_or_make_curve(identity.curve_path(config.state_dir))
        identity.make_signing_key(config.state_dir)
        if not path.exists():
            write_atomically(path, _written(config).encode(), mode=0o644)
        _hand_over(config.state_dir)
    except ValueError as error:
        raise StartupError(str(error)) from error
    except OSError as error:
        raise StartupError(
            f"cannot write {error.filename or path}: {error.strerror}; run this as root, or choose other directories"
        ) from error
    return fingerprint(pair.public)


def _hand_over(state_dir: Path) -> None:
    """Give what root made to the owner of the state directory: the service runs as that user."""
    if os.geteuid() == 0:
        owner = state_dir.stat()
        keys = identity.keys_dir(state_dir)
        for path in (keys, *keys.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _written(config: Config) -> str:
    """Write the file; a TOML basic string escapes like a JSON string."""
    return f"""\
# lbmaster: see docs/configuration.md for every setting and its default.
listen = {json.dumps(config.listen)}
state_dir = {json.dumps(str(config.state_dir))}
runtime_dir = {json.dumps(str(config.runtime_dir))}
# broadcast_port = 7411
# uplink_port = 7412
# join_port = 7413
# clients = true                # keys of `lbmaster keys client` may ask over the network, at client_port = 7414
# events_group = "monitoring"   # members may subscribe to events.sock
"""


def _decode_path(shape: type, value: object) -> object:
    if shape is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{shape} expected")
