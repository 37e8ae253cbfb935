"""What somebody asks of a cluster: who asks, why, and how its rollout shall go. Pure values, kept with every generation."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from lbwire.messages import Name

Kind: TypeAlias = Literal[
    "push", "drain", "undrain", "switchover", "evacuate", "maintenance", "rollback", "settle"
]  # fmt: skip
"""What a generation was made for; "settle" is the first half of a push in two: what leaves is still there, drained."""

Pause: TypeAlias = Literal["", "canary", "every wave"]
Duration = Annotated[float, Meta(ge=0, le=86400)]

DEFAULT_TIMEOUT: Final = 60.0


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a rollout goes. Times in seconds.

    `timeout`: for all of it, but for what waits on purpose (a gate, a drain, an operator); `wave_timeout`: for each wave
    (0: no bound of its own). `allow_missing`: hosts that need not be there. `canary`: how many real servers go first ("10%",
    "2"; "": all at once). `pause`: where to wait for an operator. `switch_first`: VIPs move to a director that has the new
    state before the one that holds them is changed. `drain`: how long the connections of what leaves may take to end.
    `gates`: look between the waves whether it hurts; `rollback`: go back when it does. `below_floor`: more of a pool may
    leave than its floor allows. `wait`: behind a rollout that is under way, instead of being refused.
    """

    timeout: Annotated[float, Meta(gt=0, le=86400)] = DEFAULT_TIMEOUT
    wave_timeout: Duration = 0.0
    allow_missing: tuple[Name, ...] = ()
    canary: Annotated[str, Meta(pattern=r"\A([0-9]{1,3}%|[0-9]{0,6})\Z")] = ""
    pause: Pause = ""
    switch_first: bool = False
    drain: Duration = 30.0
    gates: bool = True
    rollback: bool = True
    below_floor: bool = False
    wait: bool = False


class Request(msgspec.Struct, frozen=True):
    """`by` is a person, `origin` where he asked from, `reason` what he said for the journal ("": nothing)."""

    kind: Kind = "push"
    by: str = "somebody"
    origin: str = ""
    reason: str = ""
    options: Options = Options()


def canaries(share: str, hosts: int) -> int:
    """Tell how many of so many hosts go first: at least one if any shall; 0 for "" and for no hosts."""
    if not share or not hosts:
        return 0
    number = -(-hosts * int(share[:-1]) // 100) if share.endswith("%") else int(share)
    return min(max(number, 1), hosts)
