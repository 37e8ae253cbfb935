"""Who takes which VIP when whom dies, as a page and as a document for programs; read from priorities alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

from lbstates.desired import DirectorState

from .page import Cell, Column, Line, Page, Table
from .text import count

NAMED: Final = 8
"""Up to so many instances, tables name what each director holds; for more they count it."""
PAIRED: Final = 4
"""Up to so many directors, a row for every two that are dead; for more only what the sets have in common."""
SETS: Final = 500
"""So many sets of dead directors are looked at per number of deaths; with more of them, that number is left out."""
_RANKS: Final = ("HOME", "SECOND", "THIRD")


@dataclass(frozen=True, slots=True)
class Instance:
    """A VRRP instance: its VIPs and its directors by falling priority."""

    name: str
    virtual_router_id: int
    vips: tuple[str, ...]
    order: tuple[str, ...]

    def holder(self, dead: Collection[str]) -> str:
        """Who has it while these are dead; one at least is not."""
        return next(director for director in self.order if director not in dead)


@dataclass(frozen=True, slots=True)
class Placement:
    """What a director state says about who holds what."""

    cluster: str
    directors: tuple[str, ...]
    instances: tuple[Instance, ...]

    def held(self, dead: Collection[str] = ()) -> dict[str, list[Instance]]:
        """What each survivor holds while these are dead."""
        held: dict[str, list[Instance]] = {director: [] for director in self.directors if director not in dead}
        for instance in self.instances:
            held[instance.holder(dead)].append(instance)
        return held

    def loads(self, dead: Collection[str] = ()) -> dict[str, int]:
        """How many VIPs each survivor holds while these are dead."""
        return {director: _vips(held) for director, held in self.held(dead).items()}

    def moved_since(self, before: Placement) -> Iterator[tuple[Instance, str]]:
        """The instances whose home is another one now, and where they were at home."""
        homes = {instance.name: instance.order[0] for instance in before.instances}
        for instance in self.instances:
            earlier = homes.get(instance.name)
            if earlier is not None and earlier != instance.order[0]:
                yield instance, earlier


def placement_of(state: DirectorState) -> Placement:
    """Read the placement from the priorities."""
    return Placement(
        state.cluster,
        tuple(state.hosts),
        tuple(
            Instance(
                i.name,
                i.virtual_router_id,
                tuple(vip.address for vip in i.vips),
                tuple(sorted(i.priorities, key=lambda d: -i.priorities[d])),
            )
            for i in state.instances
        ),
    )


def placement_page(placement: Placement, before: Placement | None = None) -> Page:
    """Show every instance with its directors, who holds what while whom is dead, and what a change moves."""
    vips = count(_vips(placement.instances), "VIP")
    parts: list[Line | Table] = [
        Line(f"Cluster {placement.cluster}: {vips} on {count(len(placement.directors), 'director')}", "bold"),
        _orders(placement),
        Line(),
        Line("Who holds what while whom is dead (+ what it took over):"),
        _deaths(placement),
    ]
    if len(placement.directors) > PAIRED:
        parts += [Line(), Line("VIPs of one survivor, over all sets of so many dead directors:"), _evenness(placement)]
    if before is not None:
        parts += [Line(), *_moves(placement, before)]
    return tuple(parts)


def placement_document(placement: Placement, before: Placement | None = None) -> dict[str, object]:
    """The same for programs; `dead` has nobody, and each director alone."""
    document: dict[str, object] = {
        "cluster": placement.cluster,
        "directors": list(placement.directors),
        "instances": {
            i.name: {"virtual_router_id": i.virtual_router_id, "vips": list(i.vips), "order": list(i.order)}
            for i in placement.instances
        },
        "loads": [{"dead": list(dead), "vips": placement.loads(dead)} for dead in _sets(placement, 1)],
    }
    if before is not None:
        document["moves"] = {i.name: [earlier, i.order[0]] for i, earlier in placement.moved_since(before)}
    return document


def _orders(placement: Placement) -> Table:
    ranks = len(placement.directors)
    columns = [Column("INSTANCE"), Column("VRID", right=True), Column("VIP"), *map(Column, _RANKS[:ranks])]
    if ranks > len(_RANKS):
        columns.append(Column("THEN"))
    rows = []
    for instance in placement.instances:
        first, rest = instance.order[: len(_RANKS)], instance.order[len(_RANKS) :]
        words = [instance.name, str(instance.virtual_router_id), " ".join(instance.vips), *first]
        rows.append(tuple(Cell(word) for word in (*words, " ".join(rest)) if word))
    return Table(tuple(columns), tuple(rows))


def _deaths(placement: Placement) -> Table:
    deaths = min(len(placement.directors) - 1, 2 if len(placement.directors) <= PAIRED else 1)
    columns = (Column("DEAD"), *map(Column, placement.directors))
    return Table(columns, tuple(_row(placement, dead) for dead in _sets(placement, deaths)))


def _row(placement: Placement, dead: Collection[str]) -> tuple[Cell, ...]:
    named = len(placement.instances) <= NAMED
    cells = [Cell(" ".join(dead) or "nobody")]
    held = placement.held(dead)
    for director in placement.directors:
        if director in dead:
            cells.append(Cell("dead", "dim"))
            continue
        own = [instance for instance in held[director] if instance.order[0] == director]
        taken = [instance for instance in held[director] if instance.order[0] != director]
        text = _names(own, taken) if named else _counts(own, taken)
        cells.append(Cell(text, "warn" if taken else "plain"))
    return tuple(cells)


def _names(own: Collection[Instance], taken: Collection[Instance]) -> str:
    return " ".join([*(instance.name for instance in own), *(f"+{instance.name}" for instance in taken)])


def _counts(own: Collection[Instance], taken: Collection[Instance]) -> str:
    return f"{_vips(own)} +{_vips(taken)}" if taken else str(_vips(own))


def _evenness(placement: Placement) -> Table:
    rows = []
    for deaths in range(len(placement.directors)):
        if comb(len(placement.directors), deaths) > SETS:
            continue
        loads = [placement.loads(dead).values() for dead in combinations(placement.directors, deaths)]
        largest = max(max(each) - min(each) for each in loads)
        numbers = (deaths, min(map(min, loads)), max(map(max, loads)), largest)
        rows.append(tuple(Cell(str(number)) for number in numbers))
    names = ("DEAD DIRECTORS", "FEWEST", "MOST", "LARGEST DIFFERENCE")
    return Table(tuple(Column(name, right=True) for name in names), tuple(rows))


def _moves(placement: Placement, before: Placement) -> Iterator[Line]:
    moved = list(placement.moved_since(before))
    if not moved:
        yield Line("No VIP moves.", "good")
        return
    yield Line(f"{count(_vips([instance for instance, _ in moved]), 'VIP')} to move:", "warn")
    for instance, earlier in moved:
        yield Line(f"{instance.name} ({' '.join(instance.vips)}): {earlier} -> {instance.order[0]}", indent=2)


def _sets(placement: Placement, deaths: int) -> Iterator[tuple[str, ...]]:
    """The sets of up to so many dead directors that leave one alive, small ones first."""
    for number in range(min(deaths, len(placement.directors) - 1) + 1):
        yield from combinations(placement.directors, number)


def _vips(instances: Collection[Instance]) -> int:
    return sum(len(instance.vips) for instance in instances)
