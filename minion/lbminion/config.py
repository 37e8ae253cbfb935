"""The minion's configuration: minion.toml, as `lbminion join` wrote it and an operator may edit it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from lbservice.files import private_directory, write_atomically
from lbservice.keys import from_fingerprint
from lbwire.messages import Name

DEFAULT_PATH: Final = Path("/etc/lbminion/minion.toml")
JOIN_PORT: Final = 7413

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(ge=0.05, le=86400)]


class BadConfig(Exception):
    """The configuration is missing or wrong; the text names the file, the field and the way out."""


class Master(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the master is, and the two keys by which it is known.

    `fingerprint` is its CURVE public key (base32), `signing_key` its Ed25519 public key (64 hexadecimal digits).
    """

    address: str
    broadcast_port: Port
    uplink_port: Port
    fingerprint: str
    signing_key: str


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. Times in seconds; directories are created when they are missing.

    `keepalived_manager`: who starts and stops keepalived; auto takes systemd where it runs this host, else the minion
    supervises keepalived itself (child).
    """

    name: Name
    master: Master
    state_directory: str = "/var/lib/lbminion"
    runtime_directory: str = "/run/lbminion"
    keepalived_config: str = "/etc/keepalived/keepalived.conf"
    keepalived_manager: Literal["auto", "systemd", "child"] = "auto"
    sample_interval: Seconds = 1.0
    reconcile_interval: Seconds = 30.0
    spool_bytes: Annotated[int, Meta(ge=1024 * 1024, le=2**40)] = 64 * 1024 * 1024
    checks_directory: str = "/etc/lbminion/checks"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def state(self) -> Path:
        return Path(self.state_directory)

    @property
    def runtime(self) -> Path:
        return Path(self.runtime_directory)

    @property
    def curve_key(self) -> Path:
        return self.state / "curve.key"

    @property
    def server_key(self) -> bytes:
        return from_fingerprint(self.master.fingerprint)


def read_config(path: Path) -> Config:
    """Read and check the configuration; raises `BadConfig`."""
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadConfig(f"{path} is not there: this host has not joined a master; run `lbminion join`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"cannot read {path}: {error}; run as root") from error
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{path} is not TOML: {error}") from error
    try:
        config = msgspec.convert(plain, Config)
        from_fingerprint(config.master.fingerprint)
        signing_key(config)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadConfig(f"{path}: {error}") from error
    return config


def make_directories(config: Config) -> None:
    """Make the directories that are not there, and make sure that files can be made in them; raises `BadConfig`."""
    for setting, path, mode in (
        ("state_directory", config.state, 0o700),
        ("runtime_directory", config.runtime, 0o755),
    ):
        try:
            private_directory(path, mode)
            with TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise BadConfig(
                f"cannot use {path}: {error.strerror}; run as root, or set another {setting} in minion.toml"
            ) from error


def signing_key(config: Config) -> bytes:
    """Return the raw Ed25519 public key; raises `ValueError`."""
    try:
        raw = bytes.fromhex(config.master.signing_key)
    except ValueError:
        raw = b""
    if len(raw) != 32:  # noqa: PLR2004 - the size of an Ed25519 key
        raise ValueError("`signing_key` under [master] has to be 64 hexadecimal digits")
    return raw


def write_config(path: Path, config: Config) -> None:
    """Write what `join` learnt, and only what differs from the defaults; raises `OSError`."""
    plain = msgspec.to_builtins(config)
    defaults = {field.name: field.default for field in msgspec.structs.fields(Config)}
    lines = ["# Written by `lbminion join`. The keys under [master] pin the master: change them only by joining anew."]
    lines += [f"{key} = {_toml(value)}" for key, value in plain.items() if key != "master" and defaults[key] != value]
    lines += ["", "[master]", *(f"{key} = {_toml(value)}" for key, value in plain["master"].items()), ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "\n".join(lines).encode(), mode=0o644)


def _toml(value: str | float) -> str:
    """A JSON string, number or boolean is a TOML one."""
    return msgspec.json.encode(value).decode()
