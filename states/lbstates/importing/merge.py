"""Several directors' sources -> one list of instances and services; what contradicts is said, with both places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from .neutral import Destination, Instance, Service, Source, SyncGroup, Vip
from .remarks import Notebook, Place


@dataclass(slots=True)
class Together:
    """One VRRP instance as the directors have it, in the order of the sources."""

    parts: list[tuple[str, Instance]]

    @property
    def name(self) -> str:
        return self.first.name

    @property
    def first(self) -> Instance:
        return self.parts[0][1]

    @property
    def strongest(self) -> tuple[str, Instance]:
        """The director with the highest priority: the one whose VIPs these are."""
        return max(self.parts, key=lambda part: part[1].priority)

    @property
    def home(self) -> str | None:
        """That director's name, unless another one has the same priority or there is no other."""
        director, strongest = self.strongest
        same = [part for part in self.parts if part[1].priority == strongest.priority]
        return director if len(self.parts) > 1 and len(same) == 1 else None

    @property
    def vips(self) -> tuple[Vip, ...]:
        found: dict[str, Vip] = {}
        for _, instance in self.parts:
            for vip in instance.vips:
                found.setdefault(vip.address, vip)
        return tuple(found.values())


@dataclass(slots=True)
class Merged:
    """All sources as one."""

    instances: list[Together] = field(default_factory=list)
    groups: list[SyncGroup] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    timeouts: dict[str, int] = field(default_factory=dict)
    sync: dict[str, int | str] | None = None


_FIRST: Final = "make them the same, or nothing: the first one was taken"

_COMPARED: Final = (
    *("virtual_router_id", "advert_interval", "version", "auth_pass", "preempt", "preempt_delay", "unicast"),
    *("track_interfaces", "routes", "rules", "garp"),
)
_OF_SERVICES: Final = ("scheduler", "flags", "persistence", "one_packet")


def merge(sources: Sequence[Source], notes: Notebook) -> Merged:
    """Merge them in the order in which they were given."""
    merged = Merged()
    for source in sources:
        for instance in source.instances:
            _add_instance(source.director or "", instance, merged.instances)
    for together in merged.instances:
        _compare_instances(together, sources, notes)
    _merge_groups(sources, merged, notes)
    _merge_services(sources, merged, notes)
    _merge_kernel(sources, merged, notes)
    return merged


def _add_instance(director: str, instance: Instance, known: list[Together]) -> None:
    addresses = {vip.address for vip in instance.vips}
    for together in known:
        same_id = together.first.virtual_router_id == instance.virtual_router_id is not None
        shared = addresses & {vip.address for vip in together.vips}
        mine = any(name == director for name, _ in together.parts)
        if not mine and (together.name == instance.name or (same_id and shared)):
            together.parts.append((director, instance))
            return
    known.append(Together([(director, instance)]))


def _compare_instances(together: Together, sources: Sequence[Source], notes: Notebook) -> None:
    first = together.first
    for director, other in together.parts[1:]:
        if other.name != first.name:
            said = f"the instance of {first.place} is called {first.name}, and this one {other.name}"
            notes.contradicted(other.place, "vrrp_instance", said, f"{first.name} was taken")
        for name in _COMPARED:
            mine, its = getattr(other, name), getattr(first, name)
            if mine != its:
                secret = name == "auth_pass"
                said = f"{name} is not that of {first.place}" if secret else _differs(name, its, first.place, mine)
                notes.contradicted(other.place, f"vrrp_instance {other.name}", said, _FIRST)
        mine_only = {vip.address for vip in other.vips} ^ {vip.address for vip in first.vips}
        if mine_only:
            said = f"{', '.join(sorted(mine_only))} is in one of {first.place} and {other.place} only"
            notes.contradicted(
                other.place, f"vrrp_instance {other.name}", said, "both were taken; strike the wrong one"
            )
        if other.priority == together.strongest[1].priority and director != together.strongest[0]:
            said = f"its priority {other.priority} is that of {first.place}, too: no director is home"
            notes.guessed(other.place, f"vrrp_instance {other.name}", said, "give it a `home`, or let lbmaster choose")
    having = {director for director, _ in together.parts}
    for source in sources:
        if source.tool == "keepalived.conf" and source.director not in having:
            said = f"there is no instance {first.name}, which {first.place} has"
            notes.contradicted(source.place, "vrrp_instance", said, "every director takes part in every instance")


def _differs(name: str, its: object, place: Place, mine: object) -> str:
    return f"{name} is {_shown(mine)} here and {_shown(its)} in {place}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value) or "no action is needed"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _merge_groups(sources: Iterable[Source], merged: Merged, notes: Notebook) -> None:
    known: dict[str, SyncGroup] = {}
    for group in (group for source in sources for group in source.groups):
        first = known.setdefault(group.name, group)
        if set(first.members) != set(group.members):
            said = f"the sync group {group.name} has other members in {first.place}"
            notes.contradicted(group.place, "vrrp_sync_group", said, _FIRST)
    merged.groups = list(known.values())


def _merge_services(sources: Iterable[Source], merged: Merged, notes: Notebook) -> None:
    known: dict[tuple[str, str, int], Service] = {}
    before: list[Source] = []
    for source in sources:
        mine: set[tuple[str, str, int]] = set()
        for service in source.services:
            key = service.identity
            if key in mine:
                said = f"{service.name} stands here again"
                notes.dropped(service.place, "virtual_server", said, "strike one of the two")
                continue
            mine.add(key)
            if key in known:
                known[key] = _merge_service(known[key], service, notes)
            else:
                known[key] = service
        for other in before:
            if other.tool == source.tool and source.director is not None:
                theirs = {service.identity for service in other.services}
                _missing(source, [known[key] for key in theirs - mine], notes)
                _missing(other, [known[key] for key in mine - theirs], notes)
        before.append(source)
    merged.services = list(known.values())


def _missing(source: Source, services: Iterable[Service], notes: Notebook) -> None:
    for service in services:
        said = f"there is no {service.name}, which {service.place} has"
        notes.contradicted(source.place, "", said, "every director has every service")


def _merge_service(first: Service, other: Service, notes: Notebook) -> Service:
    for name in _OF_SERVICES:
        its, mine = getattr(first, name), getattr(other, name)
        if its != mine:
            notes.contradicted(other.place, first.name, _differs(name, its, first.place, mine), _FIRST)
    known = {(one.address, one.port): one for one in first.destinations}
    added = []
    for one in other.destinations:
        its_one = known.pop((one.address, one.port), None)
        if its_one is None:
            said = f"the real server {one.address} is not in the same service of {first.place}"
            notes.contradicted(one.place, first.name, said, "it was taken; strike it if it is wrong")
            added.append(one)
        elif _bare(one) != _bare(its_one):
            said = f"weight, forwarding or thresholds of {one.address} are not those of {its_one.place}"
            notes.contradicted(one.place, first.name, said, _FIRST)
    for left in known.values():
        said = f"the real server {left.address} of {left.place} is not in the same service here"
        notes.contradicted(other.place, first.name, said, "it was taken; strike it if it is wrong")
    return replace(first, destinations=(*first.destinations, *added))


def _bare(one: Destination) -> tuple[object, ...]:
    return tuple(getattr(one, name) for name in ("forwarding", "weight", "upper", "lower", "tunnel"))


def _merge_kernel(sources: Iterable[Source], merged: Merged, notes: Notebook) -> None:
    for source in sources:
        if source.timeouts:
            if merged.timeouts and merged.timeouts != source.timeouts:
                notes.contradicted(source.place, "lvs_timeouts", "another director has others", _FIRST)
            merged.timeouts = merged.timeouts or source.timeouts
        if source.sync is not None:
            if merged.sync is not None and merged.sync != source.sync:
                notes.contradicted(source.place, "lvs_sync_daemon", "another director has other settings", _FIRST)
            merged.sync = source.sync if merged.sync is None else merged.sync
