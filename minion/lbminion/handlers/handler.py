"""What every handler of a kind of resource does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol, runtime_checkable

from lbminion.errors import ChangeError
from lbstates.kinds.kind import Resource
from lbstates.plan import Change, Resources

Wanted = Mapping[str, AbstractSet[str]]
"""Kind name -> the identities that are desired or owned."""
Observed = dict[str, Mapping[str, Resource]]
"""Kind name -> identity -> what the host says."""


class Handler(Protocol):
    """Reads and writes the resources of the kinds that it names."""

    @property
    def kinds(self) -> tuple[str, ...]: ...

    async def observe(self, wanted: Wanted) -> Observed:
        """Read what the host has of these kinds; at least everything that is wanted. Raises `HostError`."""
        ...

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        """Make the changes in their order; return those that failed. Raises `HostError` when nothing can be known."""
        ...

    def close(self) -> None:
        """Let go of the host; everything stays as it is."""
        ...


@runtime_checkable
class Watchful(Protocol):
    """A handler of things whose changes the kernel tells nobody: it is asked every second."""

    @property
    def kinds(self) -> tuple[str, ...]: ...

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """Tell whether the host is no longer as `observe(wanted)` returned it.

        Cheap, and changes nothing that is observed: a look at all of it follows a yes. Raises `HostError`.
        """
        ...
