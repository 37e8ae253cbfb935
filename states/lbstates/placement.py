"""Which director is whose home, and by which number each VIP's election goes: VRIDs and priorities.

Pure and of the cluster file alone: no earlier placement is remembered, so that two masters come to the same numbers.
Appending a VIP leaves the numbers of those before it as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .words import MAX_VRID

# High priorities, because a backup waits (256 - priority) / 256 of the advert interval before it takes over; ten apart,
# so that the second backup hears of the first before its own time has come. 255 is the address owner's alone.
HOME_PRIORITY: Final = 250
STEP: Final = 10


def virtual_router_ids(addresses: Sequence[str]) -> tuple[int, ...]:
    """Give every VIP (bare IPv4 addresses, at most 255) its last octet as VRID, or else the next that is free.

    The last octet is what an operator recognises in a packet dump.
    """
    taken: dict[int, None] = {}
    for address in addresses:
        vrid = int(address.rpartition(".")[2])
        while vrid == 0 or vrid in taken:
            vrid = (vrid + 1) % (MAX_VRID + 1)
        taken[vrid] = None
    return tuple(taken)


def priorities(directors: Sequence[str], turn: int) -> dict[str, int]:
    """Rank the directors for the VIP number `turn`: its home first, then the others in rotation, all different."""
    home = turn % len(directors)
    ranked = (*directors[home:], *directors[:home])
    rank = {name: HOME_PRIORITY - STEP * place for place, name in enumerate(ranked)}
    return {name: rank[name] for name in directors}
