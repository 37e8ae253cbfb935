"""What the service and the offline commands build from the configuration alike."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lbwire.envelope import Keys, key_id

from .config import Config, signing_key
from .keepalived.manager import Child, Manager, Systemd, choose_manager
from .keepalived.paths import KeepalivedPaths


def trusted_keys(config: Config) -> Keys:
    """The master's public key, by its id."""
    key = Ed25519PublicKey.from_public_bytes(signing_key(config))
    return {key_id(key): key}


def choose_manager_for(config: Config) -> Manager:
    """Who starts and stops keepalived here."""
    if config.keepalived_manager == "auto":
        return choose_manager()
    return Systemd() if config.keepalived_manager == "systemd" else Child()


def keepalived_paths(config: Config, manager: Manager) -> KeepalivedPaths:
    """Under systemd all lies where the distribution's unit puts it; a supervised keepalived has its own places."""
    config_file = Path(config.keepalived_config)
    if isinstance(manager, Systemd):
        return KeepalivedPaths(config=config_file, runtime=config.runtime, fifo=config.runtime / "vrrp.fifo")
    return KeepalivedPaths.under(config.runtime, config_file)
