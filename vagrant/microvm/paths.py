"""Where the lab keeps things: the cache of images and wheels, and the state of running labs. No I/O beside ``mkdir``."""

from __future__ import annotations

import os
from pathlib import Path

VAGRANT = Path(__file__).resolve().parent.parent
REPOSITORY = VAGRANT.parent
PROVISION = VAGRANT / "provision.sh"
TOPOLOGY = VAGRANT / "topology.yaml"
RUN = Path("/run/lbmaster-lab")


def cache() -> Path:
    """Return the cache directory, made when missing; only root reads it, for it holds the key to the guests."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "lbmaster-lab"
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def run_directory(name: str) -> Path:
    """Return the directory of the lab of that name (not made here)."""
    return RUN / name
