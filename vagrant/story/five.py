"""The story of the five VMs: from hosts without anything to a cluster that is pushed, fails over, heals and refuses a typo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from story.bad_push import push_badly
from story.steps import (
    Step,
    balance,
    come_back,
    empty_table,
    fail_over,
    join,
    lose_vip,
    plan,
    push,
    push_again,
    respect_stop,
    show_events,
    start_master,
    stats,
)

STORY: Final[Sequence[Step]] = (
    start_master,
    join,
    plan,
    push,
    balance,
    stats,
    fail_over,
    respect_stop,
    show_events,
    come_back,
    lose_vip,
    empty_table,
    push_again,
    push_badly,
)
