"""Did keepalived end because somebody wanted it, or did it die? Decides only.

An operator's stop is respected: reported, held until the next push or start, and not healed. A death is healed at once.
"""

from __future__ import annotations

import enum


class End(enum.Enum):
    """How a keepalived ended."""

    STOPPED = "stopped"  # an operator (or a shutdown) told it to, and it cleaned up
    DIED = "died"  # killed, crashed, or gave up


def judge(*, pid_file_left: bool, stop_said: bool | None) -> End:
    """Tell the two ends apart by what keepalived leaves behind.

    `pid_file_left`: its pid file still names it. `stop_said`: the FIFO said STOP since it was last seen running, None
    when nobody was listening.

    STOP alone proves nothing: when only the parent is killed, the kernel sends SIGTERM to the VRRP child, which cleans up
    and says STOP like one that was told to. But only a parent that ends in order takes its pid file away; and one that
    ends in order without STOP gave up by itself (its configuration, its limits), which is no operator's wish.
    """
    return End.DIED if pid_file_left or stop_said is False else End.STOPPED
