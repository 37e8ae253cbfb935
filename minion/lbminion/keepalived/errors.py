"""What can go wrong with keepalived, named by what the operator of the host can do about it."""

from __future__ import annotations


class KeepalivedError(Exception):
    """Any failure that concerns keepalived on this host; its text names the place and the way out."""


class KeepalivedMissing(KeepalivedError):
    """There is no keepalived program."""


class ConfigRefused(KeepalivedError):
    """keepalived itself refuses the text (or would run something else than it says); the old file stays."""


class StartFailed(KeepalivedError):
    """keepalived did not come up."""


class StopFailed(KeepalivedError):
    """keepalived is still there after it was told to stop."""


class ReloadUnconfirmed(KeepalivedError):
    """keepalived was told to reload, and nothing shows within the time that it did."""


class DumpFailed(KeepalivedError):
    """keepalived did not write its dump, or somebody else wrote one in its place."""


class FifoBlocked(KeepalivedError):
    """Where the notify FIFO belongs lies something else, or a FIFO that others can write to."""
