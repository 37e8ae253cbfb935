"""desired and observed state -> plan: the ordered changes that turn one into the other.

Only decides. What a change does to a host is the minion's business; that a host is read again afterwards is, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from .kinds.kind import Kind, Resource
from .kinds.registry import KIND_OF, KINDS

Verb: TypeAlias = Literal["add", "set", "remove"]
Resources: TypeAlias = Mapping[str, Mapping[str, Resource]]
"""Kind name -> identity -> specification."""
Owned: TypeAlias = Mapping[str, Mapping[str, Resource | None]]
"""Kind name -> identity -> what was there before it was ours (None: nothing was)."""


class Change(msgspec.Struct, frozen=True):
    """One step of a plan: `add` has no `before`, `remove` has no `after`, `set` has both."""

    kind: str
    verb: Verb
    identity: str
    before: Resource | None = None
    after: Resource | None = None

    def describe(self) -> str:
        """Say the change in one line, without secrets: "~ sysctl net/ipv4/conf/all/arp_ignore: 0 -> 1"."""
        head = f"{_SIGNS[self.verb]} {self.kind}"
        if self.identity != self.kind:
            head = f"{head} {self.identity}"
        said = " -> ".join(resource.describe() for resource in (self.before, self.after) if resource is not None)
        return f"{head}: {said}" if said else head

    def details(self) -> tuple[str, ...]:
        """What one line cannot say, without secrets: the lines of a unified diff where the resource is a text."""
        some = self.after or self.before
        return () if some is None else some.details(self.before, self.after)


_SIGNS: Final[Mapping[Verb, str]] = {"add": "+", "set": "~", "remove": "-"}

Plan: TypeAlias = tuple[Change, ...]


def index(resources: Iterable[Resource]) -> dict[str, dict[str, Resource]]:
    """Sort resources into kind name -> identity -> specification.

    Raises `ValueError` when two of them have one identity: a host cannot be two things.
    """
    found: dict[str, dict[str, Resource]] = {kind.name: {} for kind in KINDS}
    for resource in resources:
        of_kind = found[KIND_OF[type(resource)].name]
        if of_kind.get(resource.identity, resource) != resource:
            what = f"two different specifications of {resource.identity}"
            raise ValueError(f"{what}: is this host in two clusters that want it otherwise? take it out of one of them")
        of_kind[resource.identity] = resource
    return found


def diff(desired: Resources, observed: Resources, owned: Owned) -> Plan:
    """Compare, and return the changes in the order in which they are safe.

    Only what is desired or owned is touched; what is merely observed belongs to somebody else. The plan is empty when
    the host is as it shall be.
    """
    phased: list[tuple[int, Change]] = []
    for kind in KINDS:
        want, have = desired.get(kind.name, {}), observed.get(kind.name, {})
        ours = owned.get(kind.name, {})
        phased += [(kind.put, change) for change in _puts(kind, want, have)]
        phased += [(kind.remove, change) for change in _removals(kind, want, have, ours)]
    phased.sort(key=lambda pair: pair[0])
    return tuple(change for _, change in phased)


def _puts(kind: Kind, want: Mapping[str, Resource], have: Mapping[str, Resource]) -> Iterable[Change]:
    for identity, after in want.items():
        before = have.get(identity)
        if before is None:
            yield Change(kind.name, "add", identity, after=after)
        elif before != after:
            yield Change(kind.name, "set", identity, before=before, after=after)


def _removals(
    kind: Kind, want: Mapping[str, Resource], have: Mapping[str, Resource], ours: Mapping[str, Resource | None]
) -> Iterable[Change]:
    for identity, prior in ours.items():
        before = have.get(identity)
        if identity in want or before is None:
            continue
        if kind.stays and prior is None:
            continue
        if not kind.restores or prior is None:
            yield Change(kind.name, "remove", identity, before=before)
        elif before != prior:
            yield Change(kind.name, "set", identity, before=before, after=prior)


def foreign(desired: Resources, observed: Resources, owned: Owned, kind: str) -> tuple[str, ...]:
    """Name what is on the host, is of this kind, and is not ours: to be reported and left alone."""
    ours = desired.get(kind, {}).keys() | owned.get(kind, {}).keys()
    return tuple(sorted(observed.get(kind, {}).keys() - ours))
