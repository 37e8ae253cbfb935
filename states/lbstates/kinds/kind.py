"""What every kind of resource has in common."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The specification of one thing on one host; two are equal when the host needs no change between them."""

    @property
    def identity(self) -> str:
        """What the host knows it by: unique within its kind, and the same whatever its other fields say."""
        raise NotImplementedError

    @property
    def ours(self) -> bool:
        """Whether the thing itself says that lbmaster made it: then it is not what was there before us."""
        return False

    def describe(self) -> str:
        """Say the specification apart from the identity, in the words of a plan ("" if there is nothing to say)."""
        return ""

    @classmethod
    def details(cls, before: Resource | None, after: Resource | None) -> tuple[str, ...]:  # noqa: ARG003 - for kinds that need it
        """Say what changes between two specifications of this kind, line by line, where `describe` cannot."""
        return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's name, the type of its specifications, and its places in a plan.

    `put` is the phase in which resources are added and set, `remove` the phase in which they are taken away; a plan
    runs through its phases in rising order (see `registry.KINDS` for why the order is what it is).
    `restores`: taking a resource away means putting back what was there before it was ours. `stays`: it cannot be taken
    away at all, so that one whose earlier specification nobody knows is let go as it is.
    """

    name: str
    specification: type[Resource]
    put: int
    remove: int
    restores: bool = False
    stays: bool = False
