"""What the service and the offline commands build from the configuration alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .config import Config
from .keepalived.manager import Child, Manager, Systemd, choose_manager
from .keepalived.paths import KeepalivedPaths


def choose_manager_for(config: Config) -> Manager:
    """Who starts and stops keepalived here."""
    if config.keepalived_manager == "auto":
        return choose_manager()
    return Systemd() if config.keepalived_manager == "systemd" else Child()


def keepalived_paths(config: Config, manager: Manager) -> KeepalivedPaths:
    """Under systemd all lies where the distribution's unit puts it; a supervised keepalived has its own places."""
    config_file, adjustments = Path(config.keepalived_config), config.state / "adjustments"
    if isinstance(manager, Systemd):
        fifo = config.runtime / "vrrp.fifo"
        return KeepalivedPaths(config=config_file, runtime=config.runtime, fifo=fifo, adjustments=adjustments)
    return replace(KeepalivedPaths.under(config.runtime, config_file), adjustments=adjustments)
