"""Which director is whose home, and by which number each instance's election goes: VRIDs and priorities."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from .words import MAX_VRID

# High priorities, because a backup waits (256 - priority) / 256 of the advert interval before it takes over; ten apart,
# so that the second backup hears of the first before its own time has come. 255 is the address owner's alone.
HOME_PRIORITY: Final = 250
STEP: Final = 10


class Unit(NamedTuple):
    """What is placed as one: `size` VIPs, and the director that its author prefers."""

    name: str
    size: int
    home: str | None


def place(
    units: Sequence[Unit], capacities: Mapping[str, int], before: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Rank the directors for every unit, home first."""
    directors = list(capacities)
    ranked = {}
    for turn, unit in enumerate(units):
        home = turn % len(directors) if unit.home is None else directors.index(unit.home)
        ranked[unit.name] = (*directors[home:], *directors[:home])
    return ranked


def priorities(ranking: Sequence[str]) -> dict[str, int]:
    """Give every director of a ranking its priority, all different."""
    return {name: HOME_PRIORITY - STEP * place for place, name in enumerate(ranking)}


def virtual_router_ids(
    wanted: Sequence[tuple[str, str, int | None]], reserved: Collection[int], before: Mapping[str, int]
) -> dict[str, int]:
    """Give every instance (name, address of its first VIP, number that the file fixes) its number."""
    numbers = {name: fixed for name, _, fixed in wanted if fixed is not None}
    taken = {*numbers.values(), *reserved}
    for name, address, _ in wanted:
        if name in numbers:
            continue
        vrid = ip_address(address).packed[-1]
        while vrid == 0 or vrid in taken:
            vrid = (vrid + 1) % (MAX_VRID + 1)
        taken.add(vrid)
        numbers[name] = vrid
    return numbers
