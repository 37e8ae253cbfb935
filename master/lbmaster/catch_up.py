"""What a host that comes back has missed: decided from what it holds, and from where the cluster stands. Pure."""

from __future__ import annotations

from typing import Literal

from lbwire.messages import Holding

Owed = Literal["states", "release", "nothing"]


def owed(holding: Holding, released: int, *, belongs: bool) -> Owed:
    """Decide what to send; `released`: the generation that every host was told to apply.

    `belongs`: the host has a part in that generation. One that was taken out is owed it too, if it ever applied one.
    """
    if not released or not (belongs or holding.applied) or holding.applied >= released:
        return "nothing"
    return "states" if holding.staged < released else "release"
