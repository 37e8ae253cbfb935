"""The files by which priorities are adjusted without a reload: who tracks which, and what is in them. Pure.

keepalived has a track_file for every election from the start, so that a switchover changes a file and nothing else. The
instances of a sync group have one file together, that of the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from .desired import DirectorState
from .facts import HostFacts
from .keepalived_blocks import block
from .kinds.priority import Priority
from .vrrp import VrrpInstance

_PREFIX: Final = "adjust_"
"""No instance has a name with an underscore."""


def sync_groups(state: DirectorState) -> dict[str, tuple[str, ...]]:
    """Return the instances of each sync group; keepalived wants at least two in one."""
    groups: dict[str, list[str]] = {}
    for instance in sorted(state.instances, key=lambda instance: instance.name):
        if instance.sync_group is not None:
            groups.setdefault(instance.sync_group, []).append(instance.name)
    return {group: tuple(names) for group, names in sorted(groups.items()) if len(names) > 1}


def together(state: DirectorState) -> dict[str, tuple[VrrpInstance, ...]]:
    """Return the instances that have one master, by the name of the first of them."""
    of_group = {name: names[0] for names in sync_groups(state).values() for name in names}
    found: dict[str, tuple[VrrpInstance, ...]] = {}
    for instance in sorted(state.instances, key=lambda instance: instance.name):
        first = of_group.get(instance.name, instance.name)
        found[first] = (*found.get(first, ()), instance)
    return found


def track_name(first: str) -> str:
    """Name the file for keepalived."""
    return _PREFIX + first


def is_track_name(word: str) -> bool:
    """Tell such a name from that of an instance."""
    return word.startswith(_PREFIX)


def track_files(state: DirectorState, facts: HostFacts) -> Iterator[str]:
    """Write the blocks that say where the files are, each after an empty line."""
    if facts.adjustments:
        for first in together(state):
            # Weight 1: the number in the file is added as it is. keepalived takes a file that is not there for a 0.
            yield from (
                "",
                *block(f"track_file {track_name(first)}", (f"file {facts.adjustments}/{first}", "weight 1")),
            )


def tracking(first: str, facts: HostFacts) -> Iterable[str]:
    """Write the block by which an instance, or a sync group, tracks its file."""
    return block("track_file", (track_name(first),) if facts.adjustments else ())


def priorities(state: DirectorState, host: str, facts: HostFacts) -> Iterator[Priority]:
    """Yield what the files on `host` shall say."""
    if facts.adjustments:
        for first, instances in together(state).items():
            yield Priority(first, instances[0].adjustments.get(host, 0), hand_over=_hands_over(instances, host))


def _hands_over(instances: Iterable[VrrpInstance], host: str) -> bool:
    """Whether somebody else shall be master, and would not become it by a higher priority, or not soon."""
    return any(not it.takes_over_at_once and max(it.priorities, key=it.priority_of) != host for it in instances)
