"""What this program calls itself towards the master and in the journal."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

PRODUCT: Final = f"lbminion {version('lbmaster')}"
