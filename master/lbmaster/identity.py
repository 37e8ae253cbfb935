"""Who this master is: its CURVE key pair (transport) and its Ed25519 key (signatures).

Both are files below the state directory, made once by `init`; the service only reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbservice.files import sync_directory, write_atomically
from lbservice.keys import CurvePair, load_or_make_curve

from .errors import StartupError

OTHERS: Final = 0o077
SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """Both keys."""

    curve: CurvePair
    signing: Ed25519PrivateKey

    @property
    def signing_public(self) -> bytes:
        return self.signing.public_key().public_bytes_raw()


def keys_dir(state_dir: Path) -> Path:
    """Where the keys are."""
    return state_dir / "keys"


def curve_path(state_dir: Path) -> Path:
    """Where the CURVE secret key is."""
    return keys_dir(state_dir) / "curve.key"


def signing_path(state_dir: Path) -> Path:
    """Where the signing key is."""
    return keys_dir(state_dir) / "signing.key"


def next_of(path: Path) -> Path:
    """Where the key lies that is to take the place of another."""
    return path.with_name(path.name + ".next")


def make_next(state_dir: Path) -> Identity:
    """Make the keys that are to take the place of the present ones, unless there are some. Raises `OSError`."""
    path = next_of(signing_path(state_dir))
    if not path.exists():
        write_atomically(path, Ed25519PrivateKey.generate().private_bytes_raw())
    curve = load_or_make_curve(next_of(curve_path(state_dir)))
    return Identity(curve, Ed25519PrivateKey.from_private_bytes(path.read_bytes()))


def take_next(state_dir: Path) -> None:
    """Let the next keys be the present ones; does nothing with those that are already. Raises `OSError`."""
    for path in (signing_path(state_dir), curve_path(state_dir)):
        if next_of(path).exists():
            next_of(path).replace(path)
    sync_directory(keys_dir(state_dir))


def make_signing_key(state_dir: Path) -> None:
    """Make the signing key unless there is one (the 32 bytes of the seed, 0600). Raises `OSError`."""
    path = signing_path(state_dir)
    if not path.exists():
        write_atomically(path, Ed25519PrivateKey.generate().private_bytes_raw())


def load(state_dir: Path) -> Identity:
    """Read both keys; raises `StartupError` when one is missing, damaged, or readable for others."""
    for path in (curve_path(state_dir), signing_path(state_dir)):
        _check(path)
    try:
        seed = signing_path(state_dir).read_bytes()
        if len(seed) != SEED_BYTES:
            raise StartupError(f"{signing_path(state_dir)} holds no signing key; restore it from a backup")
        return Identity(load_or_make_curve(curve_path(state_dir)), Ed25519PrivateKey.from_private_bytes(seed))
    except (OSError, ValueError) as error:
        raise StartupError(f"cannot use the keys in {keys_dir(state_dir)}: {error}") from error


def _check(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise StartupError(f"there is no {path}: run `lbmaster init` once, or restore it from a backup") from None
    except OSError as error:
        raise StartupError(f"cannot read {path}: {error.strerror}; run as the user that owns it") from error
    if mode & OTHERS:
        raise StartupError(
            f"{path} is readable for others than its owner: chmod 600 {path}; if somebody may have read it, make new keys"
        )
