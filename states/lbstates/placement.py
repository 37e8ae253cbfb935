"""Which director takes which VIP, and by which numbers the elections go: rankings, priorities, VRIDs.

Pure. The rankings are worked out rank by rank. Whoever stands at rank k+1 of a unit takes it when the k directors before
it are dead; for every such set of dead directors the units that have just lost their last one are spread over the
survivors so that the loads become as even as they can. The sets of one rank do not touch each other, so that one pass
over them is enough.

What was placed before stays where it was as long as that leaves the loads as even; only what is too much moves.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import lcm
from typing import Final, NamedTuple, TypeAlias

from .words import MAX_VRID

# High priorities, because a backup waits (256 - priority) / 256 of the advert interval before it takes over; ten apart,
# so that the second backup hears of the first before its own time has come. 255 is the address owner's alone.
HOME_PRIORITY: Final = 250
STEP: Final = 10
NARROW_STEP: Final = 4
MAX_WIDE: Final = 11
"""So many directors can be ten apart and still fall below all others by their penalty without reaching 0."""
PREFERRED_PRIORITY: Final = 254
"""Of the director that an operator chose: above all that have not been asked to hold a VIP."""
MOST_BACK: Final = 45
"""By so much the others stand back from it at most, where they have to: it is to take over before one of them does."""

EXACT: Final = 3
"""Ranks that make loads as even as they can be: nobody dead, one dead, two dead. Behind them the pair of any two
directors counts as well (`_Ahead`): with few survivors the even choice of the moment adds up to one-sided rankings."""

WEIGHED: Final = 8
"""Ranks that weigh loads at all: behind so many deaths the pairs alone decide, to save time with many directors."""

Ranking: TypeAlias = tuple[str, ...]


class Unit(NamedTuple):
    """What moves as a whole: a VRRP instance or a sync group, with the number of its VIPs and its preferred home."""

    name: str
    size: int
    home: str | None


def place(
    units: Sequence[Unit], capacities: Mapping[str, int], before: Mapping[str, Sequence[str]]
) -> dict[str, Ranking]:
    """Rank all directors for every unit, its home first.

    `capacities` (director -> 1 or more) are weights of the loads; their order and that of the units decides where loads
    are equal, so that the first VIP of a file is at home on its first director. `before`: earlier rankings of units that
    still exist or not, of directors that still exist or not.

    "Even" means that no movable unit of size s could go from director i to j and make the loads more even:
    (load(i) - s/2) / capacity(i) <= (load(j) + s/2) / capacity(j). With equal capacities and units of one VIP that is a
    difference of at most one. At rank 1 the units without preferred home are movable; at later ranks, those that have
    lost all directors of the ranks before.

    Raises `ValueError` for a capacity below 1 and a preferred home that is no director.
    """
    for director, capacity in capacities.items():
        if capacity < 1:
            raise ValueError(f"the capacity of {director} is {capacity}; it must be 1 or more")
    for unit in units:
        if unit.home is not None and unit.home not in capacities:
            raise ValueError(f"the preferred home of {unit.name}, {unit.home}, is not among the directors")
    scale = lcm(*capacities.values())
    weights = {director: scale // capacity for director, capacity in capacities.items()}
    rankings: dict[str, Ranking] = {unit.name: () for unit in units}
    ahead = _Ahead(weights)
    for rank in range(len(weights)):
        pools: dict[frozenset[str], list[Unit]] = defaultdict(list)
        for unit in units:
            pools[frozenset(rankings[unit.name])].append(unit)
        chosen: dict[str, str] = {}
        for dead, pool in pools.items():
            weighed = units if rank < WEIGHED else pool
            chosen |= _Spread(weights, dead, weighed, rankings, ahead).choose(pool, before, exact=rank < EXACT)
        rankings = {name: (*ranking, chosen[name]) for name, ranking in rankings.items()}
    return rankings


class _Ahead:
    """How much each director stands ahead of each other one in the rankings so far."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._sizes = {director: dict.fromkeys(weights, 0) for director in weights}

    def add(self, director: str, others: Iterable[str], size: int) -> None:
        sizes = self._sizes[director]
        for other in others:
            sizes[other] += size

    def excess(self, director: str, others: Iterable[str]) -> int:
        """By how much it is ahead of the others more often than they are of it."""
        sizes, weight = self._sizes[director], self._weights[director]
        return sum(sizes[o] * weight - self._sizes[o][director] * self._weights[o] for o in others if o != director)


class _Spread:
    """The loads of the survivors when certain directors are dead, while the units that these leave find their places."""

    def __init__(
        self,
        weights: Mapping[str, int],
        dead: frozenset[str],
        units: Iterable[Unit],
        rankings: Mapping[str, Ranking],
        ahead: _Ahead,
    ) -> None:
        self._weights = weights
        self._alive = [director for director in weights if director not in dead]
        self._turn = {director: number for number, director in enumerate(weights)}
        self._dead = dead
        self._rankings = rankings
        self._ahead = ahead
        self._loads = dict.fromkeys(weights, 0)
        self._taken = dict.fromkeys(weights, 0)  # of the load, what came from dead directors
        for unit in units:
            ranking = rankings[unit.name]
            holder = next((director for director in ranking if director not in dead), None)
            if holder is not None:
                self._loads[holder] += unit.size
                self._taken[holder] += unit.size if holder != ranking[0] else 0

    def choose(self, pool: Sequence[Unit], before: Mapping[str, Sequence[str]], *, exact: bool) -> dict[str, str]:
        """Find a survivor for every unit of the pool: fixed ones, those that can stay, new ones; then even out."""
        chosen: dict[str, str] = {}
        fresh: list[Unit] = []
        for unit in pool:
            fixed = unit.home if not self._dead else None
            kept = fixed or next(
                (d for d in before.get(unit.name, ()) if d in self._loads and d not in self._dead), None
            )
            if kept is None:
                fresh.append(unit)
            else:
                chosen[unit.name] = kept
                self._add(kept, unit.size)
        for unit in sorted(fresh, key=lambda unit: -unit.size):  # large ones first: small ones fill the gaps
            chosen[unit.name] = self._least(unit, exact=exact)
            self._add(chosen[unit.name], unit.size)
        if exact:
            self._even_out([unit for unit in pool if self._dead or unit.home is None], chosen, {u.name for u in fresh})
        for unit in pool:
            self._ahead.add(chosen[unit.name], self._alive, unit.size)
        return chosen

    def _even_out(self, movable: Sequence[Unit], chosen: dict[str, str], fresh: Collection[str]) -> None:
        """Move one unit after the other while that makes loads more even, new ones first: moving them costs nothing.

        Every move lowers the sum of squares, so that it comes to an end.
        """
        while True:
            # Of units that are alike the last of the file goes: the first are those that people look at.
            alike = {(chosen[unit.name], unit.size, unit.name in fresh): unit for unit in movable}
            moves = [
                (not new, gain, unit, director)
                for (source, _, new), unit in alike.items()
                for director in self._alive
                if director != source and (gain := self._gain(unit, source, director)) < (0, 0)
            ]
            if not moves:
                return
            *_, unit, director = min(moves, key=lambda move: move[:2])
            self._add(chosen[unit.name], -unit.size)
            self._add(director, unit.size)
            chosen[unit.name] = director

    def _least(self, unit: Unit, *, exact: bool) -> str:
        """The survivor that should take a new unit; in turn behind its last director when nothing else decides."""
        ranking, size = self._rankings[unit.name], unit.size
        last = self._turn[ranking[-1]] if ranking else -1

        def cost(director: str) -> tuple[int, ...]:
            loads, taken = self._cost(director, size)
            excess = self._ahead.excess(director, self._alive)
            turn = (self._turn[director] - last - 1) % len(self._turn)
            return (loads, taken, excess, turn) if exact else (4 * loads + size * excess, turn)

        return min(self._alive, key=cost)

    def _gain(self, unit: Unit, source: str, target: str) -> tuple[int, int]:
        left, came = self._cost(source, -unit.size), self._cost(target, unit.size)
        return left[0] + came[0], left[1] + came[1]

    def _cost(self, director: str, size: int) -> tuple[int, int]:
        """What `size` more would add to the sums of squares: of the loads, and of what came from dead directors.

        Both must be even: the first for the survivors, the second so that nobody gets all that a dead one leaves.
        """
        weight = self._weights[director] * size
        taken = weight * (2 * self._taken[director] + size) if len(self._dead) == 1 else 0
        return weight * (2 * self._loads[director] + size), taken

    def _add(self, director: str, size: int) -> None:
        self._loads[director] += size
        self._taken[director] += size


def priorities(ranking: Sequence[str]) -> dict[str, int]:
    """Give the directors of a ranking their priorities, from 250 downwards."""
    step = _step(len(ranking))
    return {director: HOME_PRIORITY - step * place for place, director in enumerate(ranking)}


def penalty(directors: int) -> int:
    """By how much a director without its minion falls: below all that have theirs, and among its like in order.

    Below those that were evacuated, too, and also when an operator chose it.
    """
    lowest = HOME_PRIORITY - _step(directors) * (directors - 1) - _back(directors) - directors
    return PREFERRED_PRIORITY - lowest + 1


def _back(directors: int) -> int:
    """By how much directors stand back: as far as there is room, and odd, so that nobody comes where another one is."""
    room = (244 - 2 * _step(directors) * (directors - 1) - 2 * directors) // 2
    return min(MOST_BACK, room - (room % 2 == 0))


def adjustments(
    priorities: Mapping[str, int], preferred: str | None, evacuated: Collection[str], *, stand_back: bool = False
) -> dict[str, int]:
    """Tell by how much the priorities of an election differ while operators want its VIPs elsewhere (0: left out).

    The preferred director stands above all others; evacuated ones, in their order, below all that are not, the preferred
    one too if it is among them. No two directors have the same priority then, also while some have their adjustment
    already and others not yet (but for two that are chosen one after the other), and whoever lacks its minion (`penalty`)
    stands below all that have theirs.

    `stand_back`: when there is a preferred one, the others fall back together, for elections without preemption: then the
    priority of whoever is master changes, who sees by that that it shall give up, and the preferred one wins what follows.
    """
    ranking = sorted(priorities, key=lambda director: -priorities[director])
    below = min(priorities.values(), default=0) - _back(len(priorities)) - 1
    found = {director: below - place - priorities[director] for place, director in enumerate(ranking)}
    chosen = preferred if preferred in priorities and preferred not in evacuated else None
    others = -_back(len(priorities)) if stand_back and chosen is not None else 0
    wanted = {director: found[director] if director in evacuated else others for director in ranking}
    if chosen is not None:
        wanted[chosen] = PREFERRED_PRIORITY - priorities[chosen]
    return {director: wanted[director] for director in priorities if wanted[director]}


def _step(directors: int) -> int:
    return STEP if directors <= MAX_WIDE else NARROW_STEP


def virtual_router_ids(
    wanted: Sequence[tuple[str, str, int | None]], reserved: Collection[int], before: Mapping[str, int]
) -> dict[str, int]:
    """Give every VRRP instance its VRID, by name, in the order of `wanted`: (name, bare address of its first VIP, fixed).

    A fixed one stands, even a reserved one: somebody wrote both on purpose. Then come those that have one from `before`,
    unless it is reserved or taken now. New ones get what an operator recognises in a packet dump, the last octet of an
    IPv4 address or the last group of an IPv6 address that reads as a decimal number up to 255 (else its last octet),
    or the next that is free.

    Raises `ValueError` when there are none left.
    """
    ids = {name: fixed for name, _, fixed in wanted if fixed is not None}
    taken = {*ids.values(), *reserved}
    for name, _, _ in wanted:
        earlier = before.get(name)
        if name not in ids and earlier is not None and earlier not in taken:
            ids[name] = earlier
            taken.add(earlier)
    for name, address, _ in wanted:
        if name not in ids:
            ids[name] = _next_free(_speaking(address), taken)
            taken.add(ids[name])
    return {name: ids[name] for name, _, _ in wanted}


def _speaking(address: str) -> int:
    group = address.rpartition(":")[2] if ":" in address else address.rpartition(".")[2]
    if group.isdecimal() and int(group) <= MAX_VRID:
        return int(group)
    return ipaddress.ip_address(address).packed[-1]


def _next_free(wish: int, taken: Collection[int]) -> int:
    for distance in range(MAX_VRID + 1):
        vrid = (wish + distance) % (MAX_VRID + 1)
        if vrid and vrid not in taken:
            return vrid
    raise ValueError(f"more than {MAX_VRID} VRRP instances and reserved VRIDs; no VRID is left")
