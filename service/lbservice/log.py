"""Logging of both daemons: one line per record on standard error, where systemd's journal takes it."""

from __future__ import annotations

import logging
import os
import sys


def configure(level: str) -> None:
    """Set up the root logger; under systemd the journal adds the time, elsewhere we do."""
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(level=level.upper(), stream=sys.stderr, format=f"{stamp}%(levelname)s %(name)s: %(message)s")
